// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestSec_D03_NothingComesFromTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	poison := func(r *http.Request) *http.Request {
		r.Host = "evil.example"
		for h, v := range map[string]string{
			"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "javascript", "X-Forwarded-Port": "1", "X-Forwarded-Prefix": "/evil",
			"Forwarded": "host=evil.example;proto=http", "X-Original-URL": "/evil", "X-Rewrite-Url": "/evil", "X-Host": "evil.example",
			"MCP-Protocol-Version": "2025-03-26", "Accept-Language": "de", "Cookie": "a=b", "Origin": "https://evil.example", "Via": "1.1 evil.example",
		} {
			r.Header.Set(h, v)
		}
		return r
	}
	for _, which := range []string{"as", "prm", "prm_slash", "none"} {
		plain, bad := w.document(which, request("GET", issuer, "")), w.document(which, poison(request("GET", issuer, "")))
		if plain.Body.String() != bad.Body.String() || fmt.Sprint(plain.Header()) != fmt.Sprint(bad.Header()) {
			t.Errorf("%s: %v %s", which, bad.Header(), bad.Body)
		}
	}
	b := w.browser()
	page := wantRedirect(t, b.send(poison(request("GET", w.authorizeURL(ask(id, claude)), ""))), 302, issuer+"/login?")
	if rec := b.send(poison(request("GET", page, ""))); strings.Contains(rec.Body.String(), "evil") || !strings.Contains(rec.Body.String(), `action="`+issuer+`/login/continue"`) {
		t.Error("the consent page names another host")
	}
	b.leave(t, b.show(t, page))
	if w.provider.urls[0].RedirectURI != issuer+"/callback" {
		t.Error(w.provider.urls[0].RedirectURI)
	}
}

func TestSec_D07_CORS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for endpoint, e := range endpoints {
		for _, m := range []string{"OPTIONS", "GET", "POST"} {
			h := w.call(request(m, issuer+"/"+endpoint, "", "Origin", "https://evil.example")).Header()
			want := ""
			if e.cors {
				want = "*"
			}
			if h.Get("Access-Control-Allow-Origin") != want || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s: %v", m, endpoint, h)
			}
		}
	}
	for _, list := range []string{"a\r\nSet-Cookie: x=y", "a;b", strings.Repeat("a", 2000), "ü", "<script>"} {
		h := w.call(request("OPTIONS", issuer+"/token", "", "Access-Control-Request-Headers", list)).Header()
		if h.Get("Access-Control-Allow-Headers") != "" {
			t.Errorf("%q is echoed", list)
		}
	}
}

// K07: whatever is answered is never sniffed, and on https never asked for in the clear.
func TestSec_K07_HeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, endpoint := range []string{"register", "authorize", "login", "login/continue", "callback", "token", "revoke", "introspect", "jwks", "nothing"} {
		for _, m := range []string{"GET", "POST", "HEAD", "DELETE", "OPTIONS"} {
			h := w.call(request(m, issuer+"/"+endpoint, "")).Header()
			if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Strict-Transport-Security") == "" || h.Get("Referrer-Policy") == "" || h.Get("Cache-Control") == "" {
				t.Errorf("%s %s: %v", m, endpoint, h)
			}
			if typ := h.Get("Content-Type"); strings.HasPrefix(typ, "text/html") && (typ != "text/html; charset=utf-8" || h.Get("X-Frame-Options") != "DENY" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'")) {
				t.Errorf("%s %s: %v", m, endpoint, h)
			}
		}
	}
	local := newWorld(t, places["_local"])
	if h := local.call(request("GET", local.Policy.Issuer+"/jwks", "")).Header(); h.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS on http")
	}
}
