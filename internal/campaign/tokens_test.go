// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"fmt"
	"net/http"
	"strings"
)

// kinds are the credentials that a request may bear, as placeholders. The first one is
// the only one that opens the resource of the site.
var kinds = []string{
	"valid", "other", "foreign", "expired", "revoked", "denied", "narrow", "refresh", "code", "jwt", "invented", "truncated",
}

// worn gets tokens while access tokens live for a second.
func (w *world) worn() {
	w.t.Helper()
	w.emulator.SignInAs("anna@contoso.example")
	for _, s := range w.sites {
		s.tokens = map[string]string{}
	}
	w.each("expired", "")
}

// strangers gets tokens for somebody whom the final configuration does not allow.
func (w *world) strangers() {
	w.t.Helper()
	w.emulator.SignInAs("ben@contoso.example")
	w.each("denied", "")
	w.emulator.SignInAs("anna@contoso.example")
}

// each signs in for one resource of each issuer and keeps the token as kind. Sites that
// have none of their own use that of the first site of their issuer, which is no better.
func (w *world) each(kind, scope string) {
	w.t.Helper()
	for _, issuer := range issuers {
		sites := w.ofIssuer(issuer)
		first := sites[0]
		got := w.signIn(first.issuer, first.resource(), w.register(first.issuer), scope)
		for _, s := range sites {
			s.tokens[kind] = got.access
		}
	}
}

// credentials gets the rest, under the final configuration.
func (w *world) credentials() {
	w.t.Helper()
	w.each("narrow", "mcp")
	clients := map[string]string{}
	for _, s := range w.sites {
		if clients[s.issuer] == "" {
			clients[s.issuer] = w.register(s.issuer)
		}
		got := w.signIn(s.issuer, s.resource(), clients[s.issuer], "mcp notes")
		s.tokens["valid"], s.tokens["refresh"] = got.access, got.refresh
		s.tokens["invented"] = flip(got.access, len(got.access)-1)
		s.tokens["truncated"] = got.access[:len(got.access)-1]
	}
	for i, s := range w.sites {
		s.tokens["other"] = w.otherThan(i, func(o *site) bool { return o.issuer == s.issuer }).tokens["valid"]
		s.tokens["foreign"] = w.otherThan(i, func(o *site) bool { return o.issuer != s.issuer }).tokens["valid"]
		if s.tokens["other"] == "" || s.layout.issuer != "shared" {
			s.tokens["other"] = s.tokens["foreign"]
		}
		s.tokens["code"] = w.authorizeOnce(s, clients[s.issuer])
		s.tokens["revoked"] = w.revoke(s, clients[s.issuer])
		s.tokens["jwt"] = w.backendJWT(s)
	}
}

// otherThan is the next site after the i-th that ok accepts, or that one itself.
func (w *world) otherThan(i int, ok func(*site) bool) *site {
	for j := 1; j < len(w.sites); j++ {
		if s := w.sites[(i+j)%len(w.sites)]; ok(s) {
			return s
		}
	}
	return w.sites[i]
}

// authorizeOnce returns a code that nobody redeems; one for each issuer.
func (w *world) authorizeOnce(s *site, client string) string {
	w.t.Helper()
	if first := w.ofIssuer(s.layout.issuer)[0]; first != s {
		return first.tokens["code"]
	}
	return w.authorize(s.issuer, s.resource(), client, "mcp notes").code
}

// revoke returns the access token of a grant that ended: its code was used twice.
func (w *world) revoke(s *site, client string) string {
	w.t.Helper()
	if first := w.ofIssuer(s.layout.issuer)[0]; first != s {
		return first.tokens["revoked"]
	}
	got := w.signIn(s.issuer, s.resource(), client, "mcp notes")
	token := got.access
	if status := w.redeem(&got); status != http.StatusBadRequest {
		w.t.Fatalf("a code redeemed twice: %d", status)
	}
	return token
}

// backendJWT is what the backend gets instead of the token.
func (w *world) backendJWT(s *site) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, s.origin+s.ways[0], nil)
	if err != nil {
		w.t.Fatal(err)
	}
	id := "jwt-" + s.name
	req.Header.Set("Authorization", "Bearer "+s.tokens["valid"])
	req.Header.Set(idHeader, id)
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	seen := w.arrived.take(id)
	if s.name == "gone" && resp.StatusCode == http.StatusBadGateway {
		return "e30.e30.AAAA"
	}
	if len(seen) != 1 {
		w.t.Fatalf("an honest request to %s: %d, and %d arrivals\n%s", s.resource(), resp.StatusCode, len(seen), w.caddy.Output())
	}
	return strings.TrimPrefix(fmt.Sprint(values(seen[0].fields, "Authorization")[0]), "Bearer ")
}

// flip changes one character of a token.
func flip(token string, at int) string {
	c := byte('A')
	if token[at] == c {
		c = 'B'
	}
	return token[:at] + string(c) + token[at+1:]
}
