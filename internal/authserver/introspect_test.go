// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

func (w *world) introspectCall(token string, header ...string) *httptest.ResponseRecorder {
	form := url.Values{"token": {token}}
	return w.call(request(http.MethodPost, w.Policy.Issuer+"/introspect", form.Encode(), append(header, "Content-Type", formType)...))
}

// inactiveAnswer is the whole answer about a token that nobody is told about.
const inactiveAnswer = `{"active":false}` + "\n"

func wantInactive(t testing.TB, rec *httptest.ResponseRecorder) {
	t.Helper()
	if rec.Code != http.StatusOK || rec.Body.String() != inactiveAnswer {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// H10: what a token stands for is told to servers that the configuration names, about
// their own tokens, and to nobody else.
func TestSec_H10_IntrospectionIsForNamedServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, introspecting, func(s *setup) {
		s.rules.Static = append(s.rules.Static,
			clients.Static{ID: "other", Secrets: []secret.String{secret.New("other-secret-0123456789")}},
			clients.Static{ID: "public", RedirectURIs: []string{portal}})
		s.introspect = append(s.introspect, "public")
	})
	id, got := w.tokens(t)
	for name, c := range map[string]struct {
		rec    *httptest.ResponseRecorder
		status int
		code   string
	}{
		"nobody":         {w.introspectCall(got.Access), http.StatusUnauthorized, "invalid_client"},
		"wrong secret":   {w.introspectCall(got.Access, basic(staticID, "x")...), http.StatusUnauthorized, "invalid_client"},
		"not named":      {w.introspectCall(got.Access, basic("other", "other-secret-0123456789")...), http.StatusForbidden, "unauthorized_client"},
		"without secret": {w.introspectCall(got.Access, basic("public", "")...), http.StatusForbidden, "unauthorized_client"},
		"the client":     {w.introspectCall(got.Access, basic(id, "")...), http.StatusForbidden, "unauthorized_client"},
		"no token":       {w.introspectCall("", basic(staticID, staticSecret)...), http.StatusBadRequest, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, c.rec, c.status, c.code)
			if strings.Contains(c.rec.Body.String(), "active") || c.rec.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%v %s", c.rec.Header(), c.rec.Body)
			}
		})
	}
	if n := w.events.count(event.IntrospectionRefused); n != 6 {
		t.Errorf("%d refusals were events", n)
	}
	off := newWorld(t)
	wantError(t, off.introspectCall(got.Access, basic(staticID, staticSecret)...), http.StatusNotFound, "not_found")
	if body := off.document("as", request("GET", issuer, "")).Body.String(); strings.Contains(body, "introspection") {
		t.Error(body)
	}
}

// What the caller may not know is inactive, without a reason.
func TestSec_E07_OthersTokensAreInactive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, introspecting)
	id, got := w.tokens(t)
	me := basic(staticID, staticSecret)
	ask := func(token string) *httptest.ResponseRecorder { return w.introspectCall(token, me...) }
	for name, token := range map[string]string{
		"refresh token": got.Refresh, "invented": "x", "cut": got.Access[:90], "another MAC": got.Access[:len(got.Access)-4] + "AAAA",
		"a JWT": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
	} {
		t.Run(name, func(t *testing.T) { wantInactive(t, ask(token)) })
	}
	var active introspection
	if err := json.Unmarshal(ask(got.Access).Body.Bytes(), &active); err != nil || !active.Active || active.ClientID != id {
		t.Fatalf("%+v, %v", active, err)
	}
	res := w.Policy.Resources[0]
	res.Introspect = []string{"other"}
	w.Policy.Resources = append(w.Policy.Resources, &policy.Resource{URL: "https://mcp.example.com/b", Introspect: []string{staticID}})
	wantInactive(t, ask(got.Access)) // a token of another server
	res.Introspect = []string{staticID}
	w.Policy.Allow = policy.Allow{{{Attribute: "role", Values: []string{"none"}}}}
	wantInactive(t, ask(got.Access)) // the guard would refuse it
	w.Policy.Allow = nil
	if !strings.Contains(ask(got.Access).Body.String(), `"active":true`) {
		t.Error("the token died on the way")
	}
	wantRevoked(t, w.revokeCall(id, got.Access))
	wantInactive(t, ask(got.Access))
	_, got = w.tokens(t)
	w.clock.Advance(time.Hour)
	wantInactive(t, ask(got.Access))
}

// Where the provider is asked by use, asking here is use: somebody whose account was
// disabled is inactive, as at the guard, also where no request ever comes by the guard.
func TestIntrospectionVerifiesTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, introspecting)
	w.Policy.Verify = provider.Verification{Every: 5 * time.Minute}
	_, got := w.tokens(t)
	me := basic(staticID, staticSecret)
	if rec := w.introspectCall(got.Access, me...); !strings.Contains(rec.Body.String(), `"active":true`) {
		t.Fatal(rec.Body)
	}
	w.clock.Advance(11 * time.Minute)
	w.provider.refreshErr = &provider.Ended{Reason: "AADSTS50057", Cause: errDown}
	wantInactive(t, w.introspectCall(got.Access, me...))
}

// A client that goes on with what is dead does not take the endpoint away from the servers
// behind its address. Who guesses at secrets here loses it.
func TestIntrospectionIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, introspecting)
	id, got := w.tokens(t)
	for range tokenFailuresPerMinute {
		w.revokeCall(id, "invented")
	}
	wantError(t, w.revokeCall(id, "invented"), http.StatusTooManyRequests, "temporarily_unavailable")
	if rec := w.introspectCall(got.Access, basic(staticID, staticSecret)...); !strings.Contains(rec.Body.String(), `"active":true`) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	for range tokenFailuresPerMinute {
		wantError(t, w.introspectCall(got.Access, basic(staticID, "guess")...), http.StatusUnauthorized, "invalid_client")
	}
	rec := w.introspectCall(got.Access, basic(staticID, staticSecret)...)
	wantError(t, rec, http.StatusTooManyRequests, "temporarily_unavailable")
	if rec.Header().Get("Retry-After") == "" {
		t.Errorf("headers %v", rec.Header())
	}
	wantTokens(t, w.tokenCall([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", got.Refresh}))
}

// While the store gives no answer nobody is told that a token is over.
func TestIntrospectionUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, introspecting)
	_, got := w.tokens(t)
	w.store.Only(faulty.Get, "grant")
	w.store.Set(faulty.Before)
	wantUnknown(t, w.introspectCall(got.Access, basic(staticID, staticSecret)...), false)
}

func TestGoldenIntrospection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, introspecting)
	_, got := w.tokens(t)
	me := basic(staticID, staticSecret)
	golden(t, "introspect", w.introspectCall(got.Access, me...))
	golden(t, "introspect_inactive", w.introspectCall(got.Refresh, me...))
	golden(t, "introspect_refused", w.introspectCall(got.Access))
	golden(t, "introspect_get", w.call(request("GET", issuer+"/introspect", "")))
}
