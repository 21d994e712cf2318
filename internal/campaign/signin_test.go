// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
)

// registration is the body of a public client that can refresh.
const registration = `{"client_name":"Campaign","redirect_uris":["` + mcptest.RedirectURI +
	`"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}`

// session is what a client holds after a sign-in.
type session struct {
	issuer, client  string
	verifier, code  string
	access, refresh string
}

// post sends a body to an endpoint and returns the members of the JSON that comes back.
func (w *world) post(target, contentType, body string) (int, map[string]any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", target, err, w.caddy.Output())
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		w.t.Fatalf("%s: %d %q", target, resp.StatusCode, raw)
	}
	return resp.StatusCode, members
}

// register returns a new client_id.
func (w *world) register(issuer string) string {
	w.t.Helper()
	status, m := w.post(issuer+"/register", "application/json", registration)
	id, _ := m["client_id"].(string)
	if status != http.StatusCreated || id == "" {
		w.t.Fatalf("register at %s: %d %v", issuer, status, m)
	}
	return id
}

// authorize walks a browser through the sign-in and returns a session with a code.
func (w *world) authorize(issuer, resource, client, scope string) session {
	w.t.Helper()
	verifier, err := pkce.NewVerifier(rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	q := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {mcptest.RedirectURI}, "state": {rand.Text()},
		"resource": {resource}, "code_challenge": {pkce.Challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	if scope != "" {
		q.Set("scope", scope)
	}
	b := &mcptest.Browser{Transport: w.transport}
	result, err := mcptest.SignIn(w.ctx, b, issuer+"/authorize?"+q.Encode(), mcptest.Agree)
	if err != nil {
		w.t.Fatalf("signing in for %s: %v\n%s", resource, err, w.caddy.Output())
	}
	return session{issuer: issuer, client: client, verifier: verifier, code: result.Code}
}

// redeem trades the code of a session.
func (w *world) redeem(s *session) int {
	w.t.Helper()
	return w.token(s, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {s.client}, "code": {s.code},
		"redirect_uri": {mcptest.RedirectURI}, "code_verifier": {s.verifier},
	})
}

// renew trades the refresh token of a session.
func (w *world) renew(s *session) int {
	w.t.Helper()
	return w.token(s, url.Values{"grant_type": {"refresh_token"}, "client_id": {s.client}, "refresh_token": {s.refresh}})
}

func (w *world) token(s *session, form url.Values) int {
	w.t.Helper()
	status, m := w.post(s.issuer+"/token", "application/x-www-form-urlencoded", form.Encode())
	if status == http.StatusOK {
		s.access, s.refresh = fmt.Sprint(m["access_token"]), fmt.Sprint(m["refresh_token"])
	}
	return status
}

// signIn gets tokens for a resource, from the first step to the last.
func (w *world) signIn(issuer, resource, client, scope string) session {
	w.t.Helper()
	s := w.authorize(issuer, resource, client, scope)
	if status := w.redeem(&s); status != http.StatusOK {
		w.t.Fatalf("token for %s: %d\n%s", resource, status, w.caddy.Output())
	}
	return s
}
