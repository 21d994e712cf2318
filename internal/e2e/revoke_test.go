// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// revokeToken gives a token back (RFC 7009).
func (c *rawClient) revokeToken(token string) {
	c.t.Helper()
	a := c.form(c.issuer+"/revoke", url.Values{"client_id": {c.id}, "token": {token}, "token_type_hint": {"access_token"}})
	if a.status != http.StatusOK || a.body != "" {
		c.t.Errorf("revoke: %d %s", a.status, a.body)
	}
}

// command runs `caddy mcp-oauth …` on a home and returns what it printed.
func command(t testing.TB, h *caddyrun.Home, text string, args ...string) string {
	t.Helper()
	out, problems, err := h.Tool(t, text, nil, append([]string{"mcp-oauth"}, args...)...)
	if err != nil {
		t.Fatalf("caddy mcp-oauth %v: %v\n%s%s", args, err, out, problems)
	}
	return out
}

// over makes sure that a client's session has ended, and returns the reference that the
// client is told at refresh and at the resource.
func (c *rawClient) over(got tokens) string {
	c.t.Helper()
	refused := c.refresh(got.refresh)
	ref := refused.member(c.t, "ref")
	text := "This sign-in has ended; reference " + ref + "."
	if refused.status != http.StatusBadRequest || refused.member(c.t, "error") != "invalid_grant" || refused.member(c.t, "error_description") != text {
		c.t.Errorf("refresh: %d %s", refused.status, refused.body)
	}
	a := c.initialize(c.world.resource, got.access)
	if a.status != http.StatusUnauthorized || a.member(c.t, "ref") != ref ||
		!contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`, `error_description="`+text+`"`) {
		c.t.Errorf("resource: %d %s %s", a.status, a.body, a.header)
	}
	return ref
}

// A person leaves: one command ends what she has, at once, and says so; the reference that
// her client is shown leads to the reason. What others have is as it was, and a new
// sign-in works.
func TestOffboardingByCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := w.caddyfile("store file " + filepath.Join(t.TempDir(), "store.db") + "\n")
	w.start(text)
	c := w.raw(w.issuer)
	first, second := c.signIn(w.resource), c.signIn(w.resource)
	second = c.tokensOf(c.refresh(second.refresh))
	w.works(w.resource, first.access) // and is remembered
	if out := command(t, w.home, text, "revoke", "--person", "nobody@contoso.example"); out != "0 sessions ended\n" {
		t.Errorf("revoke of nobody: %q", out)
	}
	w.works(w.resource, first.access)
	if out := command(t, w.home, text, "revoke", "--person", anna); out != "2 sessions ended\n" {
		t.Errorf("revoke: %q", out)
	}
	c.over(first)
	ref := c.over(second)
	out := command(t, w.home, text, "session", ref)
	if !contains(out, "person     "+w.emulator.Tenant()+"."+anna, "client     "+c.id, "refreshed  ", ", once; the last was rotated",
		"by command: the person was revoked (person_revoked)", "reference  "+ref) || strings.Count(out, "session ") != 1 {
		t.Errorf("session:\n%s", out)
	}
	for _, what := range []string{c.id, anna, w.emulator.Tenant() + "." + anna} {
		if out := command(t, w.home, text, "session", what); strings.Count(out, "reference ") != 2 {
			t.Errorf("session %s:\n%s", what, out)
		}
	}
	const address = "anna.nobody@contoso.example"
	command(t, w.home, text, "revoke", "--person", address)
	if _, problems, err := w.home.Tool(t, text, nil, "mcp-oauth", "session", address); err == nil || !contains(problems, "there is no such session") {
		t.Errorf("session of nobody: %s", problems)
	}
	if strings.Contains(w.caddy.Output(), "anna.nobody") {
		t.Error("the log has the address of a person")
	}
	for _, token := range []string{first.access, second.refresh, first.access[10:30]} {
		if strings.Contains(out, token) {
			t.Error("the explanation holds a token")
		}
	}
	got := c.signIn(w.resource)
	w.works(w.resource, got.access)
	if out := command(t, w.home, text, "session", c.id); !contains(out, "state      alive, 1 access tokens", "refreshed  never") {
		t.Errorf("session:\n%s", out)
	}
	if !contains(w.caddy.Output(), `"revocation_begun"`, `"grant_ended"`, `"ref":"`+ref+`"`) {
		t.Error("the log does not say it")
	}
}

// Each way to say what is meant, and what means nobody is refused.
func TestRevokeCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := w.caddyfile("store file " + filepath.Join(t.TempDir(), "store.db") + "\n")
	w.start(text)
	for _, args := range [][]string{
		{"--client", ""}, {"--resource", w.resource}, {"--resource", strings.ToUpper(w.resource[:7]) + w.resource[7:] + "/"}, {"--all"},
	} {
		c := w.raw(w.issuer)
		if args[0] == "--client" {
			args[1] = c.id
		}
		got := c.signIn(w.resource)
		if out := command(t, w.home, text, append([]string{"revoke"}, args...)...); out != "1 session ended\n" {
			t.Errorf("revoke %v: %q", args, out)
		}
		c.over(got)
	}
	for _, args := range [][]string{{}, {"--all", "--client", "x"}, {"--resource", "mcp"}, {"x"}, {"--issuer", "https://other.example", "--all"}} {
		if out, problems, err := w.home.Tool(t, text, nil, append([]string{"mcp-oauth", "revoke"}, args...)...); err == nil {
			t.Errorf("revoke %v: %s%s", args, out, problems)
		}
	}
	if _, problems, err := w.home.Tool(t, text, nil, "mcp-oauth", "session", "abcdefgh01234567"); err == nil || !contains(problems, "there is no such session") {
		t.Errorf("session of nobody: %s", problems)
	}
}

// Without a server the command opens the store by itself.
func TestRevokeWithoutServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := w.caddyfile("store file " + filepath.Join(t.TempDir(), "store.db") + "\n")
	w.start(text)
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	w.caddy.Stop(t)
	if out := command(t, w.home, text, "revoke", "--all"); out != "1 session ended\n" {
		t.Errorf("revoke: %q", out)
	}
	ref := ""
	for _, line := range strings.Split(command(t, w.home, text, "session", c.id), "\n") {
		if found, ok := strings.CutPrefix(line, "reference  "); ok {
			ref = found
		}
	}
	w.start(text)
	if got := c.over(got); got != ref || ref == "" {
		t.Errorf("reference %q, and the command said %q", got, ref)
	}
	w.works(w.resource, c.signIn(w.resource).access)
}

// I09: a client gives its tokens back, and its streams end.
func TestSec_I09_RevocationCutsStreams(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(c *rawClient, text string, got tokens){
		"refresh token": func(c *rawClient, _ string, got tokens) { c.revokeToken(got.refresh) },
		"command": func(c *rawClient, text string, _ tokens) {
			command(c.t, c.home, text, "revoke", "--resource", c.world.resource)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.streams()
			text := w.caddyfile("store file " + filepath.Join(t.TempDir(), "store.db") + "\n")
			w.start(text)
			c := w.raw(w.issuer)
			got := c.signIn(w.resource)
			stream := w.listen(w.ctx, http.MethodGet, got.access)
			s.say(t, stream, "one")
			end(c, text, got)
			receive(t, s.gone, "the backend hears of the end")
			ends(t, stream)
			c.over(got)
		})
	}
}

// An access token goes alone: the session, and what is open in it, stay.
func TestAccessTokenIsRevokedAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.streams()
	w.start(w.caddyfile(""))
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	stream := w.listen(w.ctx, http.MethodGet, got.access)
	s.say(t, stream, "one")
	c.revokeToken(got.access)
	w.refuses(w.resource, w.origin+"/.well-known/oauth-protected-resource/mcp", got.access)
	s.say(t, stream, "two")
	c.tokensOf(c.refresh(got.refresh))
}

// Revoked on one node, over on the other: by a client, and by a command, with the streams
// that are open there.
func TestRevocationReachesTheOtherNode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := startNodes(t, "store redis redis://"+server.Addr+"\n")
	for name, end := range map[string]func(c *rawClient, got tokens){
		"client": func(c *rawClient, got tokens) { c.revokeToken(got.refresh) },
		"person": func(*rawClient, tokens) { command(t, n.caddy[0].Home, n.texts[0], "revoke", "--person", anna) },
		"all":    func(*rawClient, tokens) { command(t, n.caddy[0].Home, n.texts[0], "revoke", "--all") },
	} {
		n.to(0)
		c := n.raw(n.issuer)
		got := c.signIn(n.resource)
		n.to(1)
		n.works(n.resource, got.access)
		n.works(n.resource, got.access) // from memory
		n.to(0)
		end(c, got)
		revoked := time.Now()
		n.to(1)
		eventually(t, name+": the other node refuses", func() bool { return n.status(got.access) == http.StatusUnauthorized })
		if took := time.Since(revoked); took > 5*time.Second {
			t.Errorf("%s: after %v", name, took)
		}
		c.over(got)
		n.works(n.resource, c.signIn(n.resource).access)
	}
}

// A stream on one node ends when its session is revoked on the other, and the backend hears
// of it.
func TestRevocationCutsStreamsOfTheOtherNode(t *testing.T) {
	t.Parallel()
	server, w := redistest.Start(t), newWorld(t)
	s := w.streams()
	n := w.startNodes(t, "store redis redis://"+server.Addr+"\n")
	n.to(1)
	c := n.raw(n.issuer)
	got := c.signIn(n.resource)
	stream := n.listen(n.ctx, http.MethodGet, got.access)
	s.say(t, stream, "one")
	command(t, n.caddy[0].Home, n.texts[0], "revoke", "--client", c.id)
	receive(t, s.gone, "the backend hears of the end")
	ends(t, stream)
}

// H10: a server that the configuration names learns what a token of its resource stands
// for.
func TestSec_H10_IntrospectionWhereConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	words := "client payroll {\nsecret a-secret-of-payroll\n}\n"
	w.start(strings.Replace(w.caddyfile(words), "resource "+w.resource+"\n", "resource "+w.resource+" {\nintrospect payroll\n}\n", 1))
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	ask := func(token string) *answer {
		return w.form(w.issuer+"/introspect", url.Values{"client_id": {"payroll"}, "client_secret": {"a-secret-of-payroll"}, "token": {token}})
	}
	if a := ask(got.access); a.status != http.StatusOK || a.member(t, "sub") != w.emulator.Tenant()+"."+anna || a.member(t, "aud") != w.resource ||
		a.member(t, "client_id") != c.id || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.get(w.origin + "/.well-known/oauth-authorization-server/oauth"); a.member(t, "introspection_endpoint") != w.issuer+"/introspect" {
		t.Errorf("the document: %s", a.body)
	}
	c.revokeToken(got.refresh)
	if a := ask(got.access); a.status != http.StatusOK || a.body != "{\"active\":false}\n" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// BenchmarkRevocationAcrossNodes is the time from the answer to a revocation on one node to
// the first refusal on the other, which had remembered that the token is good.
func BenchmarkRevocationAcrossNodes(b *testing.B) {
	server := redistest.Start(b)
	n := startNodes(b, "store redis redis://"+server.Addr+"\n")
	c := n.raw(n.issuer)
	var total, worst time.Duration
	for b.Loop() {
		n.to(0)
		got := c.signIn(n.resource)
		n.to(1)
		n.works(n.resource, got.access)
		n.to(0)
		c.revokeToken(got.refresh)
		n.to(1)
		revoked := time.Now()
		for n.status(got.access) != http.StatusUnauthorized {
		}
		took := time.Since(revoked)
		total, worst = total+took, max(worst, took)
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N)/1000, "ms/revocation")
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms-worst")
}
