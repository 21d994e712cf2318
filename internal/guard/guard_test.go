// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

const metadata = `Bearer resource_metadata="https://h.example/.well-known/oauth-protected-resource/mcp", `

func TestSec_H16_Outcomes(t *testing.T) {
	t.Parallel()
	const scope = metadata + `scope="mcp"`
	for _, c := range []struct {
		name, token string
		change      func(*bench, *Request)
		status      int
		code        string
		challenge   string
	}{
		{"none", "", nil, 401, "invalid_token", scope},
		{"slash", "", func(_ *bench, r *Request) { r.Slash = true }, 401, "invalid_token", strings.Replace(scope, `mcp",`, `mcp/",`, 1)},
		{"unknown", "mcpo_at_unknown", nil, 401, "invalid_token", scope + `, error="invalid_token", error_description="The access token is not valid."`},
		{"expired", stale, nil, 401, "invalid_token", scope + `, error="invalid_token", error_description="The access token has expired."`},
		{"other resource", elsewhere, nil, 401, "invalid_token", scope + `, error="invalid_token", error_description="The access token is for another resource."`},
		{"policy", foreign, func(b *bench, _ *Request) {
			b.policy.Allow = policy.Allow{{{Attribute: "role", Values: []string{"Dev"}}}}
		}, 401, "invalid_token", scope + `, error="invalid_token", error_description="This account may not use this resource."`},
		{"scope", narrow, nil, 403, "insufficient_scope", metadata + `scope="files.read mcp", error="insufficient_scope", error_description="The access token lacks scopes that this resource needs."`},
		{"store down", good, func(b *bench, _ *Request) { b.fail = errStore }, 503, "temporarily_unavailable", ""},
		{"store says busy", good, func(b *bench, _ *Request) { b.fail = oauth.Unavailable(errStore) }, 503, "temporarily_unavailable", ""},
		{"no JWT", good, func(b *bench, _ *Request) { b.jwt = func(int32) (string, error) { return "", errStore } }, 503, "temporarily_unavailable", ""},
		{"empty answer", "nil", func(b *bench, _ *Request) { b.tokens["nil"] = nil }, 503, "temporarily_unavailable", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup()
			req := b.request(c.token)
			if c.change != nil {
				c.change(b, &req)
			}
			w, _ := b.answer(req)
			if w.Code != c.status || code(t, w) != c.code {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			var want []string
			if c.challenge != "" {
				want = []string{c.challenge}
			}
			if have := w.Header()["Www-Authenticate"]; len(have) != len(want) || len(have) == 1 && have[0] != want[0] {
				t.Errorf("challenge %q\nwant      %q", have, want)
			}
			if c.status == 503 != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
			}
			if cc := w.Header().Get("Cache-Control"); cc != "no-store" {
				t.Errorf("Cache-Control %q", cc)
			}
		})
	}
}

func TestAdmitsAndReplacesTheToken(t *testing.T) {
	t.Parallel()
	b := setup()
	req := b.request(good)
	w, pass := b.answer(req)
	if pass == nil {
		t.Fatal(w.Code, w.Body)
	}
	pass.Apply(req.HTTP)
	if have := req.HTTP.Header["Authorization"]; len(have) != 1 || have[0] != "Bearer jwt.1" {
		t.Errorf("Authorization %q", have)
	}
	if pass.Client() != "dcr_x" || pass.Subject() != "t.o" || pass.Resource() != b.res.URL {
		t.Errorf("%s %s %s", pass.Client(), pass.Subject(), pass.Resource())
	}
}

func TestImpliedScopesSatisfy(t *testing.T) {
	t.Parallel()
	b := setup()
	b.policy.Scopes = map[string]policy.Scope{"files.read": {Implies: oauth.Scopes{"mcp"}}}
	b.admit(t, narrow)
}

func TestSec_H01_TokenOfAnotherResource(t *testing.T) {
	t.Parallel()
	b := setup()
	other := &policy.Resource{URL: "https://h.example/other", Origin: "https://h.example", Path: "/other", Scopes: oauth.Scopes{"mcp"}}
	// A hit at its own resource must not help anywhere else.
	b.admit(t, good)
	req := b.request(good)
	req.Target = NewTarget(b.policy, other)
	w, _ := b.answer(req)
	if w.Code != 401 || !strings.Contains(w.Header().Get("WWW-Authenticate"), `/.well-known/oauth-protected-resource/other"`) {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	// The other spelling of its own resource is the same resource.
	b.tokens[good].Resource = "https://H.example:443/mcp/"
	b.Changed([32]byte{1})
	b.admit(t, good)
	// Nothing is not every resource.
	b.tokens[good].Resource = ""
	b.Changed([32]byte{1})
	if w, _ := b.answer(b.request(good)); w.Code != 401 {
		t.Errorf("status %d for a token without resource", w.Code)
	}
}

func TestSec_H03_OnlyAccessTokens(t *testing.T) {
	t.Parallel()
	b := setup()
	for _, token := range []string{"mcpo_rt_good", "mcpo_ac_good", "mcpo_cs_good", "a.b.c", "eyJhbGciOiJub25lIn0.e30."} {
		if w, _ := b.answer(b.request(token)); w.Code != 401 || code(t, w) != "invalid_token" {
			t.Errorf("%s: %d", token, w.Code)
		}
	}
}

func TestSec_H06_HugeTokensCostNothing(t *testing.T) {
	t.Parallel()
	b := setup()
	w, _ := b.answer(b.request(strings.Repeat(".", 1<<20)))
	if w.Code != 401 || b.lookups.Load() != 0 {
		t.Errorf("%d after %d look-ups", w.Code, b.lookups.Load())
	}
}

func TestSec_J20_UnfinishedGuardDenies(t *testing.T) {
	t.Parallel()
	b := setup()
	var none *Guard
	for name, g := range map[string]*Guard{
		"nil": none, "zero": {}, "no look-up": New(Config{Mint: b.mint, Now: b.clock.Now}),
		"no mint": New(Config{Grants: b, Now: b.clock.Now}), "no clock": New(Config{Grants: b, Mint: b.mint}),
	} {
		req := b.request(good)
		if pass, _, err := g.Known(req); pass != nil || err == nil {
			t.Errorf("%s guard knows the token", name)
		}
		_, err := g.Admit(t.Context(), req)
		w := httptest.NewRecorder()
		g.Refuse(w, req, err, "")
		if err == nil || w.Code != 503 {
			t.Errorf("%s guard: %v, %d", name, err, w.Code)
		}
	}
	for name, req := range map[string]Request{
		"no request": {Target: b.target, Began: start},
		"no target":  {HTTP: b.request(good).HTTP, Began: start},
		"no time":    {HTTP: b.request(good).HTTP, Target: b.target},
	} {
		_, err := b.Admit(t.Context(), req)
		w := httptest.NewRecorder()
		b.Refuse(w, req, err, "")
		if err == nil || w.Code != 503 {
			t.Errorf("%s: %v, %d", name, err, w.Code)
		}
	}
}

func TestSec_J21_PanicAdmitsNobody(t *testing.T) {
	t.Parallel()
	b := setup()
	b.jwt = func(int32) (string, error) { panic("broken") }
	defer func() {
		if recover() == nil {
			t.Error("the panic was swallowed")
		}
		b.jwt = func(int32) (string, error) { return "jwt", nil }
		b.admit(t, good)
	}()
	_, _ = b.Admit(t.Context(), b.request(good))
}

// A JWT that could not stand in a header is never sent.
func TestSec_J23_HeaderValueIsAToken(t *testing.T) {
	t.Parallel()
	for _, jwt := range []string{"", "a\r\nX: y", "Zoë", "a b", "a,b", `"`} {
		b := setup()
		b.jwt = func(int32) (string, error) { return jwt, nil }
		if w, _ := b.answer(b.request(good)); w.Code != 503 {
			t.Errorf("%q: %d", jwt, w.Code)
		}
	}
}
