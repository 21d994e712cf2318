// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
)

// A handler that was never set up, or whose site is gone, lets nobody through, and keeps
// the query, which may hold a code, out of the access log.
func TestSec_J20_ZeroHandlerRefuses(t *testing.T) {
	c, gone := running(t, sited("zero.example.com"))
	c.stop()
	for name, h := range map[string]*Handler{"zero": {}, "half": {instance: new(instance)}, "gone": gone} {
		for _, path := range []string{"/mcp", "/other", "/oauth/callback?code=abc"} {
			next := new(backend)
			r := prepared(http.MethodGet, "https://zero.example.com"+path)
			w := ask(t, h, r, next)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%s, %s: status %d, %v", name, path, w.Code, w.Header())
			}
			if next.hits != 0 {
				t.Errorf("%s, %s: the next handler was called", name, path)
			}
			if skip, _ := variable(r, caddyhttp.LogSkipVar).(bool); !skip {
				t.Errorf("%s, %s: in the access log", name, path)
			}
		}
	}
}

// A panic reaches the web server: nobody goes on with a request that was not decided. The
// request gives back what it held all the same.
func TestSec_J21_PanicDoesNotAdmit(t *testing.T) {
	c, h := running(t, sited("panic.example.com"))
	admit(h.instance.site, lookupFunc(func(context.Context, string) (*guard.Access, error) { panic("store") }))
	next := new(backend)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = h.ServeHTTP(httptest.NewRecorder(), prepared(http.MethodPost, "https://panic.example.com/mcp", "Authorization", "Bearer good"), next)
	}()
	if next.hits != 0 {
		t.Error("the next handler was called")
	}
	c.stop()
	if n := h.instance.site.uses.state.Load(); n != 1 {
		t.Errorf("the site is still in use: %d", n)
	}
}

// A panic of a later handler passes through and takes nothing along.
func TestPanicOfNext(t *testing.T) {
	_, h := running(t, sited("next.example.com"))
	admitGood(h)
	for _, path := range []string{"/mcp", "/other"} {
		func() {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("%s: recovered %v", path, p)
				}
			}()
			_ = h.ServeHTTP(httptest.NewRecorder(), prepared(http.MethodGet, "https://next.example.com"+path, "Authorization", "Bearer good"),
				caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }))
		}()
	}
	if n := h.instance.site.uses.state.Load(); n != 0 {
		t.Errorf("the site is still in use: %d", n)
	}
}

// An error of a later handler is passed on unchanged, since Caddy compares it.
func TestErrorOfNext(t *testing.T) {
	_, h := running(t, sited("nexterr.example.com"))
	admitGood(h)
	want := caddyhttp.Error(http.StatusBadGateway, errors.New("backend is gone"))
	for _, path := range []string{"/mcp", "/other"} {
		err := h.ServeHTTP(httptest.NewRecorder(), prepared(http.MethodGet, "https://nexterr.example.com"+path, "Authorization", "Bearer good"),
			caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return want }))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// What an outer handler said about the person must not survive on any path of ours, and
// the variable by which a site matches guarded requests on no path at all.
func TestSec_J18_NoStaleIdentity(t *testing.T) {
	_, h := running(t, sited("stale.example.com"))
	admitGood(h)
	for _, c := range []struct {
		name, url, token string
		id               string
		resource         any
	}{
		{"guarded", "https://stale.example.com/mcp", "good", "jane", "https://stale.example.com/mcp"},
		{"no token", "https://stale.example.com/mcp", "", "", nil},
		{"bad token", "https://stale.example.com/mcp", "bad", "", nil},
		{"token in the query", "https://stale.example.com/mcp?access_token=good", "good", "", nil},
		{"document", "https://stale.example.com/.well-known/oauth-protected-resource/mcp", "", "", nil},
		{"endpoint", "https://stale.example.com/oauth/token", "", "", nil},
		{"no endpoint", "https://stale.example.com/oauth/x", "", "", nil},
		{"misdirected", "https://other.example.com/mcp", "good", "", nil},
		{"bad path", "https://stale.example.com/oauth//token", "", "", nil},
		{"not ours", "https://stale.example.com/other", "", "outer", nil},
	} {
		r := prepared(http.MethodGet, c.url)
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		for _, p := range userPlaceholders {
			repl.Set(p, "outer")
		}
		caddyhttp.SetVar(r.Context(), resourceVar, "https://stale.example.com/mcp")
		if c.name == "guarded" {
			caddyhttp.SetVar(r.Context(), resourceVar, "https://elsewhere.example.com/")
		}
		ask(t, h, r, new(backend))
		if id := placeholder(r, "http.auth.user.id"); id != c.id {
			t.Errorf("%s: id %q", c.name, id)
		}
		if v := variable(r, resourceVar); v != c.resource {
			t.Errorf("%s: resource %v", c.name, v)
		}
		if c.name == "guarded" && (placeholder(r, "http.auth.user.email") != "" || placeholder(r, "http.auth.user.client_id") != "dcr_1") {
			t.Errorf("an unverified address, or no client: %q, %q", placeholder(r, "http.auth.user.email"), placeholder(r, "http.auth.user.client_id"))
		}
	}
}

func TestSec_J23_NoLineBreaksInPlaceholders(t *testing.T) {
	_, h := running(t, sited("crlf.example.com"))
	admitGood(h)
	r := prepared(http.MethodGet, "https://crlf.example.com/mcp", "Authorization", "Bearer good")
	ask(t, h, r, new(backend))
	if name := placeholder(r, "http.auth.user.name"); name != "JaneX-Role: admin" {
		t.Errorf("name %q", name)
	}
}

// An upgrade to HTTP/2 in the clear would tunnel further requests past the guard, through
// a path that is guarded as well as through one that is not.
func TestSec_J13_NoUpgradeToH2C(t *testing.T) {
	_, h := running(t, sited("h2c.example.com"))
	admitGood(h)
	for upgrade, kept := range map[string]bool{"h2c": false, "H2C": false, "websocket, h2c": false, "websocket": true} {
		for _, path := range []string{"/mcp", "/other"} {
			next := new(backend)
			r := prepared(http.MethodGet, "https://h2c.example.com"+path, "Authorization", "Bearer good",
				"Upgrade", upgrade, "Http2-Settings", "AAMAAABkAARAAAAAAAIAAAAA", "Connection", "Upgrade, HTTP2-Settings")
			ask(t, h, r, next)
			if next.hits != 1 {
				t.Fatalf("%s %s: the next handler was called %d times", upgrade, path, next.hits)
			}
			if got := next.last.Header.Get("Upgrade") != ""; got != kept {
				t.Errorf("%s %s: Upgrade is %q", upgrade, path, next.last.Header.Get("Upgrade"))
			}
		}
		w := ask(t, h, prepared(http.MethodGet, "https://h2c.example.com/mcp", "Upgrade", upgrade, "Connection", "Upgrade"), new(backend))
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%s without token: %d", upgrade, w.Code)
		}
	}
}

func TestSec_J11_AddressIsTheWebServersWord(t *testing.T) {
	t.Parallel()
	r := prepared(http.MethodPost, "https://a.example.com/oauth/token", "X-Forwarded-For", "9.9.9.9")
	r.RemoteAddr = "192.0.2.7:5555"
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "")
	if a := clientAddress(r); a != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("without the web server's word: %v", a)
	}
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "2001:db8::1")
	if a := clientAddress(r); a != netip.MustParseAddr("2001:db8::1") {
		t.Errorf("with it: %v", a)
	}
}

// X-Forwarded-Host names the host only where the web server trusts who sent it, and only
// if there is exactly one. It never shows in an answer.
func TestForwardedHost(t *testing.T) {
	_, h := running(t, sited("fwd.example.com"))
	for _, c := range []struct {
		host, forwarded string
		trusted         bool
		want            int
	}{
		{"fwd.example.com", "", false, 401},
		{"fwd.example.com", "evil.example.com", false, 401},
		{"internal", "fwd.example.com", false, 421},
		{"internal", "fwd.example.com", true, 401},
		{"internal", "fwd.example.com, evil.example.com", true, 421},
		{"fwd.example.com", "evil.example.com", true, 401},
		{"fwd.example.com", "", true, 401},
	} {
		r := prepared(http.MethodGet, "https://"+c.host+"/mcp", "X-Forwarded-Host", c.forwarded)
		caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, c.trusted)
		w := ask(t, h, r, new(backend))
		if w.Code != c.want {
			t.Errorf("%+v: status %d", c, w.Code)
		}
		if strings.Contains(w.Header().Get("WWW-Authenticate")+w.Body.String(), "evil") {
			t.Errorf("%+v: the answer repeats the header", c)
		}
	}
	for _, several := range [][]string{{"a.example.com", "b.example.com"}, {"a.example.com, b.example.com"}, {""}} {
		r := prepared(http.MethodGet, "https://internal/mcp")
		r.Header["X-Forwarded-Host"] = several
		caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, true)
		if got := (&instance{}).matchHost(r); got != "internal" {
			t.Errorf("%q: %s", several, got)
		}
	}
}

// Both the path that was sent and the one that later handlers will see are judged.
func TestRewrittenPaths(t *testing.T) {
	_, h := running(t, sited("rewrite.example.com"))
	for _, c := range []struct {
		sent, rewritten string
		want            int
	}{
		{"/mcp", "/", 401},                      // handle_path strips the prefix
		{"/api", "/mcp", 401},                   // rewrite leads into the resource
		{"/api", "/%6dcp", 401},                 // in another spelling
		{"/api", "/other", 204},                 // nobody's
		{"/oauth/x", "/mcp", 404},               // the issuer's before anything else
		{"/api/%2525%32%35256d", "/other", 400}, // no fixed point
		{"/oauth/jwks", "/", 0},                 // an endpoint by what was sent
		{"/other", "/../mcp", 401},              // dot segments
	} {
		r := prepared(http.MethodGet, "https://rewrite.example.com/")
		sent := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
		sent.URL.Path, sent.URL.RawPath = decodedPath(c.sent)
		r.URL.Path, r.URL.RawPath = decodedPath(c.rewritten)
		w := ask(t, h, r, new(backend))
		if c.want != 0 && w.Code != c.want || c.want == 0 && w.Code/100 == 4 {
			t.Errorf("%s → %s: status %d, want %d", c.sent, c.rewritten, w.Code, c.want)
		}
	}
}

func decodedPath(escaped string) (path, raw string) {
	p, err := url.PathUnescape(escaped)
	if err != nil {
		return escaped, ""
	}
	return p, escaped
}

// A preflight is answered before there are keys, and never by the backend.
func TestPreflightNeedsNoKeys(t *testing.T) {
	_, h := running(t, sited("cors.example.com"))
	next := new(backend)
	w := ask(t, h, prepared(http.MethodOptions, "https://cors.example.com/mcp",
		"Origin", "http://localhost:6274", "Access-Control-Request-Method", "POST"), next)
	if w.Code != http.StatusNoContent || next.hits != 0 || w.Header().Get("Access-Control-Allow-Origin") != "http://localhost:6274" {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
}
