// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
)

// tokenAnswer is a success of the token endpoint.
type tokenAnswer struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
}

func wantTokens(t testing.TB, rec *httptest.ResponseRecorder) tokenAnswer {
	t.Helper()
	var a tokenAnswer
	if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil || rec.Code != http.StatusOK || a.Access == "" || a.Type != "Bearer" {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return a
}

// wantError checks status and code of a JSON error.
func wantError(t testing.TB, rec *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var e struct {
		Error, Ref string
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || rec.Code != status || e.Error != code || e.Ref == "" {
		t.Errorf("%d %s, want %d %s", rec.Code, rec.Body, status, code)
	}
	if rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", rec.Header())
	}
}

func TestWholeFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	b := w.browser()
	code := b.signIn(t, ask(id, claude))
	if len(b.cookies) != 0 {
		t.Errorf("cookies left: %v", b.names())
	}
	got := wantTokens(t, w.tokenCall(exchange(id, code, "redirect_uri", claude, "resource", resource)))
	if got.Scope != "mcp" || got.Expires != 3600 || got.Refresh == "" {
		t.Errorf("%+v", got)
	}
	a, err := w.state.Grants.Access(t.Context(), got.Access)
	if err != nil || a.Person.Subject != alice.Subject || a.Client != id || a.Resource != resource {
		t.Errorf("access token: %+v, %v", a, err)
	}
	again := wantTokens(t, w.tokenCall([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", got.Refresh}))
	if again.Refresh == got.Refresh || again.Access == got.Access || again.Scope != "mcp" {
		t.Errorf("refresh did not rotate: %+v", again)
	}
}

// second is the second of two values.
func second[A, B any](_ A, b B) B { return b }

// requestOf is the request that an authorization request becomes.
func (w *world) requestOf(t testing.TB, q url.Values) grants.Request {
	t.Helper()
	s := &active{Server: w.Server, State: w.state}
	client, err := s.Clients.Find(t.Context(), s.Rules, q.Get("client_id"))
	if err != nil {
		t.Fatal(err)
	}
	req, err := s.validate(client, q.Get("redirect_uri"), q)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func wantJSON(t testing.TB, body []byte) {
	t.Helper()
	if !json.Valid(body) {
		t.Fatalf("not JSON: %q", body)
	}
}
