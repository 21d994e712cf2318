// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// tokens returns the tokens of a new client.
func (w *world) tokens(t testing.TB) (client string, got tokenAnswer) {
	t.Helper()
	id, code := w.fresh(t)
	return id, wantTokens(t, w.tokenCall(exchange(id, code)))
}

func (w *world) revokeCall(client, token string, more ...string) *httptest.ResponseRecorder {
	form := url.Values{"client_id": {client}, "token": {token}}
	for i := 0; i+1 < len(more); i += 2 {
		form.Add(more[i], more[i+1])
	}
	return w.call(request(http.MethodPost, w.Policy.Issuer+"/revoke", form.Encode(), "Content-Type", formType))
}

// lives tells whether access and refresh token still work. The refresh token is spent.
func (w *world) lives(t testing.TB, client string, got tokenAnswer) (access, refresh bool) {
	t.Helper()
	_, err := w.state.Grants.Access(t.Context(), got.Access)
	rec := w.tokenCall([]string{"grant_type", "refresh_token", "client_id", client, "refresh_token", got.Refresh})
	if rec.Code != http.StatusOK {
		wantError(t, rec, http.StatusBadRequest, "invalid_grant")
	}
	return err == nil, rec.Code == http.StatusOK
}

func wantRevoked(t testing.TB, rec *httptest.ResponseRecorder) {
	t.Helper()
	if rec.Code != http.StatusOK || rec.Body.Len() != 0 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("headers %v", rec.Header())
	}
}

// I09: own tokens alone; 200 whatever the token is; a refresh token takes all along, an
// access token goes alone; a wrong hint changes nothing.
func TestSec_I09_Revocation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		token           func(w *world, got tokenAnswer) string
		hint            string
		other           bool // another client asks
		access, refresh bool // what is alive afterwards
	}{
		{"refresh token", func(_ *world, got tokenAnswer) string { return got.Refresh }, "", false, false, false},
		{"refresh token with a wrong hint", func(_ *world, got tokenAnswer) string { return got.Refresh }, "access_token", false, false, false},
		{"access token", func(_ *world, got tokenAnswer) string { return got.Access }, "", false, false, true},
		{"access token with a wrong hint", func(_ *world, got tokenAnswer) string { return got.Access }, "refresh_token", false, false, true},
		{"an unknown hint", func(_ *world, got tokenAnswer) string { return got.Access }, "id_token", false, false, true},
		{"another client's refresh token", func(_ *world, got tokenAnswer) string { return got.Refresh }, "", true, true, true},
		{"another client's access token", func(_ *world, got tokenAnswer) string { return got.Access }, "", true, true, true},
		{"no token of ours", func(*world, tokenAnswer) string { return "eyJhbGciOiJub25lIn0.e30." }, "", false, true, true},
		{"cut", func(_ *world, got tokenAnswer) string { return got.Refresh[:90] }, "", false, true, true},
		{"padded", func(_ *world, got tokenAnswer) string { return got.Refresh + "=" }, "", false, true, true},
		{"recased", func(_ *world, got tokenAnswer) string { return strings.ToUpper(got.Refresh) }, "", false, true, true},
		{"another MAC", func(_ *world, got tokenAnswer) string { return got.Refresh[:len(got.Refresh)-4] + "AAAA" }, "", false, true, true},
		{"access under the prefix of refresh", func(_ *world, got tokenAnswer) string {
			return strings.Replace(got.Access, "mcpo_at_", "mcpo_rt_", 1)
		}, "", false, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, got := w.tokens(t)
			asks := id
			if c.other {
				asks = w.register(t, stranger)
			}
			before := w.changed.Load()
			wantRevoked(t, w.revokeCall(asks, c.token(w, got), "token_type_hint", c.hint))
			if told := w.changed.Load() > before; told != !c.access {
				t.Errorf("the guard was told: %t", told)
			}
			wantRevoked(t, w.revokeCall(asks, c.token(w, got))) // once more
			if access, refresh := w.lives(t, id, got); access != c.access || refresh != c.refresh {
				t.Errorf("access token lives: %t, refresh token: %t", access, refresh)
			}
		})
	}
}

// A token that was replaced ends the sign-in as well: who lost an answer has no other.
func TestRevokeByAReplacedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, first := w.tokens(t)
	next := wantTokens(t, w.tokenCall([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", first.Refresh}))
	wantRevoked(t, w.revokeCall(id, first.Refresh))
	if access, refresh := w.lives(t, id, next); access || refresh {
		t.Errorf("access token lives: %t, refresh token: %t", access, refresh)
	}
	if n := w.events.count(event.TokenRevoked); n != 1 {
		t.Errorf("%d events", n)
	}
}

// Who asks is settled before the token is looked at.
func TestRevokeRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, got := w.tokens(t)
	for name, c := range map[string]struct {
		rec    *httptest.ResponseRecorder
		status int
		code   string
	}{
		"unknown client":    {w.revokeCall("dcr_unknown", got.Refresh), http.StatusUnauthorized, "invalid_client"},
		"no client":         {w.revokeCall("", got.Refresh), http.StatusUnauthorized, "invalid_client"},
		"static, no secret": {w.revokeCall(staticID, got.Refresh), http.StatusUnauthorized, "invalid_client"},
		"public, a secret":  {w.revokeCall(id, got.Refresh, "client_secret", "x"), http.StatusUnauthorized, "invalid_client"},
		"no token":          {w.revokeCall(id, ""), http.StatusBadRequest, "invalid_request"},
		"two tokens":        {w.revokeCall(id, got.Refresh, "token", got.Access), http.StatusBadRequest, "invalid_request"},
		"JSON": {w.call(request(http.MethodPost, issuer+"/revoke", `{"token":"x"}`, "Content-Type", "application/json")),
			http.StatusBadRequest, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.rec, c.status, c.code) })
	}
	if access, refresh := w.lives(t, id, got); !access || !refresh {
		t.Errorf("access token lives: %t, refresh token: %t", access, refresh)
	}
	// RFC 6749 §5.2 wants the challenge where Basic was tried.
	rec := w.call(request(http.MethodPost, issuer+"/revoke", "token=x", append(basic(staticID, "wrong"), "Content-Type", formType)...))
	if rec.Code != http.StatusUnauthorized || !strings.HasPrefix(rec.Header().Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
}

// I08: while the write fails nobody is told that it is done, and once it is done it stays.
func TestSec_I08_RevocationThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, got := w.tokens(t)
	w.store.Only(faulty.Update, "grant")
	w.store.Set(faulty.Before)
	wantUnknown(t, w.revokeCall(id, got.Refresh), false)
	w.store.Set(faulty.None)
	wantRevoked(t, w.revokeCall(id, got.Refresh))
	if access, refresh := w.lives(t, id, got); access || refresh {
		t.Errorf("access token lives: %t, refresh token: %t", access, refresh)
	}
}

// A flood of inventions costs its address the endpoint; a public client with a token that
// was made here still gets rid of it.
func TestRevokeIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, got := w.tokens(t)
	for range tokenFailuresPerMinute {
		w.state.Limits.TokenFailed(netip.MustParseAddr(home.String()))
	}
	rec := w.revokeCall(id, "invented")
	wantError(t, rec, http.StatusTooManyRequests, "temporarily_unavailable")
	if rec.Header().Get("Retry-After") == "" || w.events.count(event.LimitHit) != 1 {
		t.Errorf("headers %v", rec.Header())
	}
	wantRevoked(t, w.revokeCall(id, got.Refresh))
	w.clock.Advance(time.Minute)
	fresh := newWorld(t)
	id, _ = fresh.tokens(t)
	for range tokenFailuresPerMinute {
		wantRevoked(t, fresh.revokeCall(id, "invented"))
	}
	wantError(t, fresh.revokeCall(id, "invented"), http.StatusTooManyRequests, "temporarily_unavailable")
}

// A client that comes back with a token of an ended sign-in gets a reference by which an
// administrator finds out why, and the same one each time.
func TestEndedHasAReference(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, got := w.tokens(t)
	wantRevoked(t, w.revokeCall(id, got.Refresh))
	for range 2 {
		rec := w.tokenCall([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", got.Refresh})
		wantError(t, rec, http.StatusBadRequest, "invalid_grant")
		var e struct {
			Description string `json:"error_description"`
			Ref         string
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Description != "This sign-in has ended; reference "+e.Ref+"." {
			t.Errorf("%+v", e)
		}
		found, err := w.state.Grants.Find(t.Context(), e.Ref)
		if err != nil || len(found) != 1 || found[0].Client != id || found[0].Ended == nil || found[0].Ended.Reason != grants.ReasonByClient {
			t.Errorf("%+v, %v", found, err)
		}
	}
}

func TestGoldenRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, got := w.tokens(t)
	golden(t, "revoke", w.revokeCall(id, got.Refresh))
	golden(t, "revoke_unknown", w.revokeCall(id, "x"))
	golden(t, "revoke_invalid_client", w.revokeCall("x", got.Refresh))
	golden(t, "revoke_get", w.call(request("GET", issuer+"/revoke", "")))
	golden(t, "revoke_options", w.call(request("OPTIONS", issuer+"/revoke", "", "Origin", "https://evil.example", "Access-Control-Request-Headers", "authorization")))
	golden(t, "token_ended", w.tokenCall([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", got.Refresh}))
}
