// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
)

// Two resources on one site: people agree to each, and a token for one is refused by the
// other with the other's challenge.
func TestTwoResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.origin + "/other"
	second := newBackend(t, w.issuer, other)
	w.start(globals("") + w.origin + " {\n" + block("resource "+w.resource+"\nresource "+other+" {\nscopes mcp notes\n}\n"+w.entra()) +
		"reverse_proxy /mcp* " + w.backend.addr() + "\nreverse_proxy /other* " + second.addr() + "\n}\n")
	c := w.raw(w.issuer)
	one, two := c.signIn(w.resource), c.signIn(other)
	isolated(w, w.resource, other, one, two)
	if a := w.initialize(other, one.access); !strings.Contains(a.header.Get("WWW-Authenticate"), `scope="mcp notes"`) {
		t.Errorf("challenge %q", a.header.Get("WWW-Authenticate"))
	}
}

// isolated makes sure that each token opens its own resource alone, with the challenge of
// the resource that refused, and that each backend saw the JWTs for it alone.
func isolated(w *world, first, second string, one, two tokens) {
	w.t.Helper()
	w.works(first, one.access)
	w.works(second, two.access)
	w.refuses(first, metadataOf(first), two.access)
	w.refuses(second, metadataOf(second), one.access)
	w.refuses(first, metadataOf(first), "")
}

// metadataOf is the URL of the document of a resource whose path is one segment.
func metadataOf(resource string) string {
	i := strings.LastIndexByte(resource, '/')
	return resource[:i] + "/.well-known/oauth-protected-resource" + resource[i:]
}

// Two sites import one block: one registration and one authorization server, and still a
// token opens one resource only, on its own host only.
func TestTwoSitesOneIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	port, at := caddyrun.FreePort(t), caddyrun.FreePort(t)
	issuer := fmt.Sprintf("http://localhost:%d", at)
	first, second := fmt.Sprintf("http://127.0.0.1:%d/mcp", port), fmt.Sprintf("http://localhost:%d/mcp", port)
	w.emulator.Register(issuer + "/callback")
	one, two := newBackend(t, issuer, first), newBackend(t, issuer, second)
	snippet := "(oauth) {\n" + block("issuer "+issuer+"\nresource "+first+"\nresource "+second+"\n"+w.entra()) + "}\n"
	site := func(origin, rest string) string { return origin + " {\nimport oauth\n" + rest + "}\n" }
	w.start(globals("") + snippet + site(issuer, "respond 404\n") +
		site(strings.TrimSuffix(first, "/mcp"), "reverse_proxy /mcp* "+one.addr()+"\n") +
		site(strings.TrimSuffix(second, "/mcp"), "reverse_proxy /mcp* "+two.addr()+"\n"))
	w.emulator.SignInAs("anna@contoso.example")

	c := w.raw(issuer)
	isolated(w, first, second, c.signIn(first), c.signIn(second))
	one.arrivals()
	if len(two.arrivals()) == 0 {
		t.Error("the second backend saw nothing")
	}
	// A host of the issuer alone has no resource, and the others have no endpoints.
	if a := w.initialize(issuer+"/mcp", ""); a.status != http.StatusMisdirectedRequest {
		t.Errorf("the resource's path on the issuer's host: %d", a.status)
	}
	if a := w.get(strings.TrimSuffix(first, "/mcp") + "/authorize"); a.header.Get("Content-Type") == "text/html; charset=utf-8" {
		t.Error("a resource's host has the endpoints of the issuer")
	}
}

// Two issuers share the default store and nothing else.
func TestTwoIssuersOneStore(t *testing.T) {
	t.Parallel()
	w, v := newWorld(t), newWorld(t)
	v.home = w.home
	w.start(globals("") + w.site("") + v.site(""))
	v.caddy = w.caddy

	for _, x := range []*world{w, v} {
		if id, again := x.registerClaude("claude_public"), x.registerClaude("claude_public"); again != id || len(id) != 47 {
			t.Errorf("%s registers Claude as %q and %q", x.issuer, id, again)
		}
	}
	if ours, theirs := w.registerClaude("claude"), v.registerClaude("claude"); ours == theirs {
		t.Errorf("both issuers know a client with a secret as %q", ours)
	}
	if w.kids() == v.kids() {
		t.Error("both issuers sign with the same keys")
	}

	here, there := w.raw(w.issuer), v.raw(v.issuer)
	one, two := here.signIn(w.resource), there.signIn(v.resource)
	isolated(w, w.resource, v.resource, one, two)
	if a := there.refresh(one.refresh); a.status != http.StatusBadRequest || a.member(t, "error") != "invalid_grant" {
		t.Errorf("refresh token of the other issuer: %d %s", a.status, a.body)
	}
	elsewhere := here.begin(w.resource)
	stray := &attempt{client: there, resource: v.resource, verifier: elsewhere.verifier}
	code := elsewhere.code()
	if a := stray.redeem(code); a.status != http.StatusBadRequest || a.member(t, "error") != "invalid_grant" {
		t.Errorf("code of the other issuer: %d %s", a.status, a.body)
	}
	here.tokensOf(elsewhere.redeem(code))
	here.id = w.register(w.issuer, strings.Replace(registration, "Raw client", "Only here", 1))
	there.id = here.id
	if a := there.refresh(two.refresh); a.status != http.StatusUnauthorized || a.member(t, "error") != "invalid_client" {
		t.Errorf("client of the other issuer: %d %s", a.status, a.body)
	}
}

// registerClaude sends a registration as it was seen in the field.
func (w *world) registerClaude(name string) string {
	w.t.Helper()
	body, err := os.ReadFile("../clients/testdata/" + name + ".request.json")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.register(w.issuer, string(body))
}

// Two blocks for one issuer have to be the same, or nobody could say which one counts.
func TestBlocksThatDiffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	twin := "http://localhost" + strings.TrimPrefix(w.origin, "http://127.0.0.1")
	both := "issuer " + w.issuer + "\nresource " + w.resource + "\nresource " + twin + "/mcp\n" + w.entra()
	for word, words := range map[string]string{
		"tokens": "tokens {\naccess 2h\n}\n", "allow": "allow {\nrole X\n}\n", "resource": "resource " + twin + "/more\n",
	} {
		out, err := w.home.Validate(t, globals("")+w.origin+" {\n"+block(both)+"}\n"+twin+" {\n"+block(both+words)+"}\n")
		if err == nil || !contains(out, w.issuer, word) {
			t.Errorf("%s: %v\n%s", word, err, out)
		}
	}
	if out, err := w.home.Validate(t, globals("")+w.origin+" {\n"+block(both)+"}\n"+twin+" {\n"+block(both)+"}\n"); err != nil {
		t.Errorf("the same block twice: %s", out)
	}
}
