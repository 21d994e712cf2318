// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clienttest"
)

// refusal is a request that is refused, and how.
type refusal struct {
	header http.Header
	query  string
	host   string
	status int
	// code is the error of the body, and of the challenge where announced is true.
	code string
	// challenged tells that there is a challenge, announced that it names the error.
	challenged, announced bool
	scope                 string
	retry                 bool
}

func withToken(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// challengeScopes are what the resource of refusing wants.
const challengeScopes = "mcp admin"

// refusing is a world in which everything can be refused that there is, and the tokens for
// that. The resource wants more than it did when the narrow token was issued. words are added
// to the site.
func refusing(t *testing.T, words string) (*world, map[string]refusal) {
	t.Helper()
	w := newWorld(t)
	other := "resource " + w.origin + "/other {\nscopes files\n}\n"
	resource := func(scopes string) string { return "resource " + w.resource + " {\nscopes " + scopes + "\n}\n" }
	config := func(scopes, more string) string {
		return globals("") + "http://:" + port(w.addr) + " {\n" + block(resource(scopes)+other+w.entra()+more) + words +
			"reverse_proxy " + w.backend.addr() + "\n}\n"
	}
	w.start(config("mcp files", ""))
	c := w.raw(w.issuer)
	narrow, elsewhere := c.signIn(w.resource), c.signIn(w.origin+"/other")
	a := c.begin(w.resource)
	code := a.code()
	revoked := c.tokensOf(a.redeem(code))
	a.redeem(code)
	w.reload(config("mcp files", "tokens {\naccess 1s\n}\n"))
	expired := c.signIn(w.resource)
	w.reload(config(challengeScopes, ""))
	eventually(t, "the token expires", func() bool { return w.initialize(w.resource, expired.access).status == http.StatusUnauthorized })
	w.backend.arrivals()
	no := func(h http.Header, status int, code string) refusal {
		return refusal{header: h, status: status, code: code, challenged: true, announced: true, scope: challengeScopes}
	}
	silent := refusal{status: 401, code: "invalid_token", challenged: true, scope: challengeScopes}
	all := map[string]refusal{
		"no token":  silent,
		"malformed": no(withToken("a\tb"), 401, "invalid_token"), "invalid": no(withToken(narrow.access[:len(narrow.access)-1]+"-"), 401, "invalid_token"),
		"JWT": no(withToken("a.b.c"), 401, "invalid_token"), "refresh token": no(withToken(narrow.refresh), 401, "invalid_token"),
		"expired": no(withToken(expired.access), 401, "invalid_token"), "revoked": no(withToken(revoked.access), 401, "invalid_token"),
		"another resource's": no(withToken(elsewhere.access), 401, "invalid_token"),
		"too few scopes":     no(withToken(narrow.access), 403, "insufficient_scope"),
		"two headers":        no(http.Header{"Authorization": {"Bearer a", "Bearer b"}}, 400, "invalid_request"),
	}
	basic := silent
	basic.header = http.Header{"Authorization": {"Basic eDp5"}}
	all["another scheme"] = basic
	scoped := all["too few scopes"]
	scoped.scope = "mcp files admin"
	all["too few scopes"] = scoped
	for name, query := range map[string]string{"token in the query": "?access_token=" + narrow.access, "malformed query": "?a=%zz"} {
		r := no(withToken(narrow.access), 400, "invalid_request")
		r.query = query
		all[name] = r
	}
	all["another host"] = refusal{host: "evil.example", status: 421, code: "invalid_request"}
	all["early data"] = refusal{header: http.Header{"Early-Data": {"1"}, "Authorization": {"Bearer " + elsewhere.access}}, status: 425, code: "invalid_request"}
	all["another origin"] = refusal{header: http.Header{"Origin": {"https://evil.example"}}, status: 403, code: "access_denied"}
	return w, all
}

// refuse sends a request that is refused.
func (w *world) refuse(r refusal) *answer {
	w.t.Helper()
	h := r.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if r.host != "" {
		h.Set("Host", r.host)
	}
	return w.send(http.MethodPost, w.resource+r.query, h, "{}")
}

// Each refusal has the status of the standard, and every client reads each challenge
// alike.
func TestSec_H16_EveryClientReadsEveryChallenge(t *testing.T) {
	t.Parallel()
	w, all := refusing(t, "")
	for name, r := range all {
		a := w.refuse(r)
		checkRefusal(t, name, a, r)
		if r.challenged {
			checkChallenge(t, w, name, a, r)
		}
		for range 100 {
			again := w.refuse(r)
			if again.status != a.status || strings.Join(again.header.Values("WWW-Authenticate"), "|") != strings.Join(a.header.Values("WWW-Authenticate"), "|") {
				t.Fatalf("%s: %d %q, then %d %q", name, a.status, a.header.Values("WWW-Authenticate"), again.status, again.header.Values("WWW-Authenticate"))
			}
		}
	}
	if seen := w.backend.arrivals(); len(seen) > 0 {
		t.Errorf("%d requests reached the backend", len(seen))
	}
}

func checkRefusal(t *testing.T, name string, a *answer, r refusal) {
	t.Helper()
	var body struct{ Error, Ref string }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != r.status || body.Error != r.code || len(body.Ref) != 16 ||
		a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
	}
	if got := len(a.header.Values("WWW-Authenticate")); got > 1 || (got == 1) != r.challenged {
		t.Errorf("%s: %q", name, a.header.Values("WWW-Authenticate"))
	}
	if (a.header.Get("Retry-After") != "") != r.retry {
		t.Errorf("%s: Retry-After %q", name, a.header.Get("Retry-After"))
	}
}

// checkChallenge has every client read the header, and looks at what none of them minds
// yet.
func checkChallenge(t *testing.T, w *world, name string, a *answer, r refusal) {
	t.Helper()
	value := a.header.Get("WWW-Authenticate")
	want := clienttest.Challenge{Metadata: metadataOf(w.resource), Scope: r.scope}
	if r.announced {
		want.Error = r.code
		want.Description, _, _ = strings.Cut(after(value, `error_description="`), `"`)
		if want.Description == "" {
			t.Errorf("%s: %s has no description", name, value)
		}
	}
	for _, client := range clienttest.Clients() {
		if got, err := client.Challenge(a.header.Values("WWW-Authenticate")); err != nil || got != want {
			t.Errorf("%s, %s: reads %s as %+v, %v", name, client.Name, value, got, err)
		}
	}
	// Quotes around each value and none inside, commas between them and none inside.
	params := strings.Count(value, `="`)
	if !strings.HasPrefix(value, "Bearer ") || strings.Count(value, `"`) != 2*params || strings.Count(value, ",") != params-1 ||
		strings.Contains(value, `\`) || strings.ContainsFunc(value, func(c rune) bool { return c < 0x20 || c > 0x7e }) {
		t.Errorf("%s: %q", name, value)
	}
	if strings.Contains(value, "offline_access") {
		t.Errorf("%s: %q", name, value)
	}
}

func after(s, sep string) string {
	_, rest, _ := strings.Cut(s, sep)
	return rest
}

// A store that cannot be asked says nothing about a token: 503, later again, and no
// challenge, which would be taken for the end of the session.
func TestSec_H16_OutageIsNoChallenge(t *testing.T) {
	t.Parallel()
	first, second := newWorld(t), newWorld(t)
	path := filepath.Join(t.TempDir(), "shared.db")
	first.start(first.caddyfile("store file " + path + "\n"))
	token := first.raw(first.issuer).signIn(first.resource).access
	second.start(second.caddyfile("store file " + path + "\n"))
	second.caddy.AwaitOutput(t, "is in use by another process")
	r := refusal{header: withToken(token), status: 503, code: "temporarily_unavailable", retry: true}
	for range 20 {
		checkRefusal(t, "outage", second.refuse(r), r)
	}
	if seen := second.backend.arrivals(); len(seen) > 0 {
		t.Errorf("%d requests reached the backend", len(seen))
	}
}
