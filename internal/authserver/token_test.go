// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// fresh returns a new code of a public client.
func (w *world) fresh(t testing.TB) (client, code string) {
	t.Helper()
	id := w.register(t, claude)
	return id, w.browser().signIn(t, ask(id, claude))
}

func basic(id, secret string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
}

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, code := w.fresh(t)
	other := w.register(t, stranger)
	for _, c := range []struct {
		name   string
		fields []string
		header []string
		status int
		code   string
	}{
		{"nothing", []string{"a", "b"}, nil, 401, "invalid_client"},
		{"L04 unknown client", exchange("dcr_unknown", code), nil, 401, "invalid_client"},
		{"L04 unknown client by Basic", exchange("", code), basic("dcr_unknown", ""), 401, "invalid_client"},
		{"static without secret", exchange(staticID, code), nil, 401, "invalid_client"},
		{"static with wrong secret", exchange("", code), basic(staticID, "wrong"), 401, "invalid_client"},
		{"public with secret", exchange(id, code, "client_secret", "x"), nil, 401, "invalid_client"},
		{"two clients", exchange(other, code), basic(id, ""), 400, "invalid_request"},
		{"no grant_type", []string{"client_id", id, "code", code}, nil, 400, "invalid_request"},
		{"C17 password", []string{"grant_type", "password", "client_id", id}, nil, 400, "unsupported_grant_type"},
		{"C17 client_credentials", []string{"grant_type", "client_credentials", "client_id", id}, nil, 400, "unsupported_grant_type"},
		{"C17 device", []string{"grant_type", "urn:ietf:params:oauth:grant-type:device_code", "client_id", id}, nil, 400, "unsupported_grant_type"},
		{"no code", []string{"grant_type", "authorization_code", "client_id", id, "code_verifier", verifier}, nil, 400, "invalid_request"},
		{"no refresh token", []string{"grant_type", "refresh_token", "client_id", id}, nil, 400, "invalid_request"},
		{"other client's code", exchange(other, code), nil, 400, "invalid_grant"},
		{"B12 other redirect", exchange(id, code, "redirect_uri", stranger), nil, 400, "invalid_grant"},
		{"C08 other resource", exchange(id, code, "resource", "https://other.example/mcp"), nil, 400, "invalid_target"},
		{"H02 two resources", exchange(id, code, "resource", resource, "resource", "https://other.example/mcp"), nil, 400, "invalid_target"},
		{"resource that is none", exchange(id, code, "resource", "mcp"), nil, 400, "invalid_target"},
		{"C02 no verifier", []string{"grant_type", "authorization_code", "client_id", id, "code", code}, nil, 400, "invalid_request"},
		{"C02 short verifier", []string{"grant_type", "authorization_code", "client_id", id, "code", code, "code_verifier", verifier[1:]}, nil, 400, "invalid_request"},
		{"C02 verifier with =", []string{"grant_type", "authorization_code", "client_id", id, "code", code, "code_verifier", verifier + "="}, nil, 400, "invalid_request"},
		{"C18 code cut", exchange(id, code[:len(code)-1]), nil, 400, "invalid_grant"},
		{"C18 code changed", exchange(id, otherAt(code, 20)), nil, 400, "invalid_grant"},
		{"H03 code as refresh token", []string{"grant_type", "refresh_token", "client_id", id, "refresh_token", code}, nil, 400, "invalid_grant"},
		{"assertion", exchange(id, code, "client_assertion", "eyJ"), nil, 401, "invalid_client"},
	} {
		rec := w.tokenCall(c.fields, c.header...)
		wantError(t, rec, c.status, c.code)
		wantBasic := c.code == "invalid_client" && c.header != nil
		if got := rec.Header().Get("WWW-Authenticate"); (got != "") != wantBasic || wantBasic && !strings.HasPrefix(got, "Basic ") {
			t.Errorf("%s: WWW-Authenticate %q", c.name, got)
		}
		if t.Failed() {
			t.Fatal(c.name)
		}
	}
	// C08: none of that burned the code. Empty parameters count as omitted.
	wantTokens(t, w.tokenCall(exchange(id, code, "redirect_uri", "", "resource", "", "client_secret", "")))
	wantError(t, w.tokenCall(exchange(id, code)), 400, "invalid_grant")
}

func TestSec_C02_WrongVerifierBurnsTheCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, code := w.fresh(t)
	wrong := []string{"grant_type", "authorization_code", "client_id", id, "code", code, "code_verifier", strings.Repeat("A", 43)}
	wantError(t, w.tokenCall(wrong), 400, "invalid_grant")
	wantError(t, w.tokenCall(exchange(id, code)), 400, "invalid_grant")
}

func TestCodeExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, code := w.fresh(t)
	w.clock.Advance(w.Policy.Lifetimes.Code - time.Second)
	wantTokens(t, w.tokenCall(exchange(id, code)))
	_, code = w.fresh(t)
	w.clock.Advance(w.Policy.Lifetimes.Code)
	wantError(t, w.tokenCall(exchange(id, code)), 400, "invalid_grant")
}

func TestSec_C04_CodeReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, code := w.fresh(t)
	got := wantTokens(t, w.tokenCall(exchange(id, code)))
	// C05: only the right client's replay revokes.
	wantError(t, w.tokenCall(exchange(w.register(t, stranger), code)), 400, "invalid_grant")
	if _, err := w.state.Grants.Access(t.Context(), got.Access); err != nil {
		t.Fatal(err)
	}
	wantError(t, w.tokenCall(exchange(id, code)), 400, "invalid_grant")
	if _, err := w.state.Grants.Access(t.Context(), got.Access); err == nil || w.events.count(event.CodeReplayed) != 1 {
		t.Error("tokens of a replayed code live")
	}
}

func TestSec_C13_NothingInTheURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, code := w.fresh(t)
	form := "grant_type=authorization_code&client_id=" + id + "&code_verifier=" + verifier
	wantError(t, w.call(request("POST", issuer+"/token?code="+code, form, "Content-Type", formType)), 400, "invalid_request")
	wantError(t, w.call(request("GET", issuer+"/token?"+form+"&code="+code, "")), 405, "invalid_request")
	wantTokens(t, w.tokenCall(exchange(id, code)))
}

func TestSec_C14_ContentTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, code := w.fresh(t)
	form := "grant_type=authorization_code&client_id=" + id + "&code=" + code + "&code_verifier=" + verifier
	for _, typ := range []string{"", "application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded-x", "x"} {
		wantError(t, w.call(request("POST", issuer+"/token", form, "Content-Type", typ)), 400, "invalid_request")
		wantError(t, w.call(request("POST", issuer+"/register", `{"redirect_uris":["https://a.example/"]}`, "Content-Type", typ+"+form")), 400, "invalid_client_metadata")
	}
	// M11: nothing is inflated.
	wantError(t, w.call(request("POST", issuer+"/token", form, "Content-Type", formType, "Content-Encoding", "gzip")), 400, "invalid_request")
	wantError(t, w.call(request("POST", issuer+"/register", "{}", "Content-Type", "application/json", "Content-Encoding", "gzip")), 400, "invalid_client_metadata")
	for _, typ := range []string{formType + "; charset=utf-8", "Application/X-WWW-Form-Urlencoded"} {
		id, code := w.fresh(t)
		form := "grant_type=authorization_code&client_id=" + id + "&code=" + code + "&code_verifier=" + verifier
		wantTokens(t, w.call(request("POST", issuer+"/token", form, "Content-Type", typ)))
	}
}

func TestSec_C15_Encodings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, body := range map[string]string{
		"NUL": "grant_type=a%00b", "invalid UTF-8": "grant_type=%ff", "raw invalid UTF-8": "grant_type=\xff", "semicolon": "grant_type=a;client_id=b",
		"broken percent": "grant_type=%zz", "41 parameters": "a=b" + strings.Repeat("&x", 40), "repeated": "client_id=a&client_id=b",
	} {
		rec := w.call(request("POST", issuer+"/token", body, "Content-Type", formType))
		wantError(t, rec, 400, "invalid_request")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	wantError(t, w.call(request("POST", issuer+"/token", strings.Repeat("a", maxBody+1), "Content-Type", formType)), 413, "invalid_request")
	wantError(t, w.call(request("POST", issuer+"/register", strings.Repeat(" ", maxBody+1), "Content-Type", "application/json")), 413, "invalid_client_metadata")
}

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct{ fields, header []string }{
		"post":           {[]string{"client_id", staticID, "client_secret", staticSecret}, nil},
		"basic":          {nil, basic(staticID, staticSecret)},
		"basic and id":   {[]string{"client_id", staticID}, basic(staticID, staticSecret)},
		"both, the same": {[]string{"client_id", staticID, "client_secret", staticSecret}, basic(staticID, staticSecret)},
	} {
		code := w.browser().signIn(t, ask(staticID, portal))
		fields := append([]string{"grant_type", "authorization_code", "code", code, "code_verifier", verifier}, c.fields...)
		if rec := w.tokenCall(fields, c.header...); rec.Code != 200 {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

func TestSec_H02_RefreshMayOnlyNarrow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *setup) { s.resources = []string{resource, "https://mcp.example.com/two"} })
	id, code := w.fresh(t)
	got := wantTokens(t, w.tokenCall(exchange(id, code)))
	refresh := func(more ...string) []string {
		return append([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", got.Refresh}, more...)
	}
	wantError(t, w.tokenCall(refresh("resource", "https://mcp.example.com/two")), 400, "invalid_target")
	wantError(t, w.tokenCall(refresh("resource", resource, "resource", "https://mcp.example.com/two")), 400, "invalid_target")
	wantTokens(t, w.tokenCall(refresh("resource", resource+"/", "scope", "mcp foo")))
}

func TestRefreshAndTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, code := w.fresh(t)
	got := wantTokens(t, w.tokenCall(exchange(id, code)))
	refresh := func() []string {
		return []string{"grant_type", "refresh_token", "client_id", id, "refresh_token", got.Refresh}
	}
	// G10: an outage logs nobody out, neither while it is bridged nor after.
	w.provider.refreshErr = errDown
	got = wantTokens(t, w.tokenCall(refresh()))
	w.clock.Advance(w.Policy.Lifetimes.Access + w.Policy.Lifetimes.ProviderOutage)
	rec := w.tokenCall(refresh())
	wantError(t, rec, 503, "temporarily_unavailable")
	if rec.Header().Get("Retry-After") == "" || strings.Contains(rec.Body.String(), "10.1.2.3") {
		t.Errorf("%v %s", rec.Header(), rec.Body)
	}
	w.provider.refreshErr = nil
	got = wantTokens(t, w.tokenCall(refresh()))
	// G09: a definite no ends the grant.
	w.provider.refreshErr = &provider.Ended{Reason: "invalid_grant"}
	wantError(t, w.tokenCall(refresh()), 400, "invalid_grant")
	w.provider.refreshErr = nil
	wantError(t, w.tokenCall(refresh()), 400, "invalid_grant")
}

func TestSec_L05_UnknownScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	for asked, want := range map[string]string{
		"foo offline_access": "mcp offline_access", "": "mcp", "foo": "mcp", "mcp": "mcp", "offline_access mcp bar": "offline_access mcp",
	} {
		code := w.browser().signIn(t, ask(id, claude, "scope", asked))
		if got := wantTokens(t, w.tokenCall(exchange(id, code))); got.Scope != want || got.Refresh == "" {
			t.Errorf("%q became %+v, want %q", asked, got, want)
		}
	}
}

func TestSec_I13_LimitCountsFailuresAndSparesTheGenuine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, code := w.fresh(t)
	for i := range tokenFailuresPerMinute {
		if rec := w.tokenCall(exchange(id, fmt.Sprint("code", i))); rec.Code != 400 {
			t.Fatalf("failure %d: %d", i, rec.Code)
		}
	}
	w.store.Set(faulty.None)
	rec := w.tokenCall(exchange(id, "mcpo_ac_"+strings.Repeat("A", 96)))
	wantError(t, rec, 429, "temporarily_unavailable")
	if rec.Header().Get("Retry-After") != "1" || w.store.Reads() != 0 {
		t.Errorf("Retry-After %q, %d reads", rec.Header().Get("Retry-After"), w.store.Reads())
	}
	wantError(t, w.tokenCall(exchange(staticID, code, "client_secret", "guess")), 429, "temporarily_unavailable")
	wantError(t, w.tokenCall(exchange("", code), basic(staticID, "guess")...), 429, "temporarily_unavailable")
	// A colleague behind the same address is not locked out.
	got := wantTokens(t, w.tokenCall(exchange(id, code)))
	got = wantTokens(t, w.tokenCall([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", got.Refresh}))
	wantError(t, w.tokenCall([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", got.Access}), 429, "temporarily_unavailable")
	if _, ok := w.state.Limits.TokenBlocked(netip.MustParseAddr("203.0.113.8")); !ok {
		t.Error("a neighbour is blocked")
	}
	forged := []byte(got.Refresh)
	forged[40] ^= 3
	wantError(t, w.tokenCall([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", string(forged)}), 429, "temporarily_unavailable")
	w.clock.Advance(time.Second)
	wantError(t, w.tokenCall(exchange(id, "x")), 400, "invalid_grant")
}

func TestRegister(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.call(request(http.MethodPost, issuer+"/register", `{"redirect_uris":["`+claude+`"]}`, "Content-Type", "application/json"))
	if rec.Code != http.StatusCreated || !strings.Contains(rec.Body.String(), `"client_id":"dcr_`) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	wantError(t, w.call(request(http.MethodPost, issuer+"/register", `{"redirect_uris":["javascript:x"]}`, "Content-Type", "application/json")), 400, "invalid_redirect_uri")
	wantError(t, w.call(request(http.MethodPost, issuer+"/register", `[]`, "Content-Type", "application/json")), 400, "invalid_client_metadata")
	if n := w.events.count(event.ClientRefused); n != 2 {
		t.Errorf("%d events for 2 refusals", n)
	}
	off := newWorld(t, func(s *setup) { s.regOff = true })
	wantError(t, off.call(request(http.MethodPost, issuer+"/register", `{"redirect_uris":["`+claude+`"]}`, "Content-Type", "application/json")), 403, "access_denied")
}

// otherAt is s with another letter at i.
func otherAt(s string, i int) string {
	letter := "x"
	if s[i] == 'x' {
		letter = "y"
	}
	return s[:i] + letter + s[i+1:]
}
