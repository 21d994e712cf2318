// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

func TestSec_J23_ForwardedValues(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Jane Doe":                "Jane Doe",
		"Zoë\r\nX: y":             "Zo%C3%ABX: y",
		"100%":                    "100%25",
		"a%0D%0Ab":                "a%250D%250Ab",
		" padded\t":               "padded",
		"\x00\x1f\x7f\u0085":      "",
		"bad\xff":                 "bad%FF",
		"日本":                      "%E6%97%A5%E6%9C%AC",
		"tab\tinside, and commas": "tabinside, and commas",
		"{env.HOME} {file./x}":    "{env.HOME} {file./x}",
		"":                        "",
	} {
		if got := HeaderValue(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// Each claim goes where it belongs, absent ones leave no header, and an address that
// nobody verified is absent.
func TestForwardedClaims(t *testing.T) {
	t.Parallel()
	b := setup()
	b.policy.Scopes = map[string]policy.Scope{"mcp": {Implies: oauth.Scopes{"read"}}}
	for _, c := range policy.Claims {
		b.res.Forward = append(b.res.Forward, policy.ForwardHeader{Name: http.CanonicalHeaderKey("X-" + string(c[0]) + "-" + string(c[1:])), Claim: c})
	}
	b.target = NewTarget(b.policy, b.res)
	b.tokens[good].Person = provider.Person{
		Subject: "t.o", ObjectID: "o", Tenant: "t", Name: "Jane", PreferredUsername: "jane@corp",
		Email: "jane@example.com", Roles: []string{"Dev", "a,b"},
	}
	want := map[policy.Claim]string{
		policy.ClaimSubject: "t.o", policy.ClaimClientID: "dcr_x", policy.ClaimScope: "mcp read", policy.ClaimName: "Jane",
		policy.ClaimPreferredUsername: "jane@corp", policy.ClaimObjectID: "o", policy.ClaimTenant: "t", policy.ClaimRoles: "Dev,a%2Cb",
	}
	for _, verified := range []bool{false, true} {
		if verified {
			b.tokens[good].Person.EmailVerified = true
			want[policy.ClaimEmail] = "jane@example.com"
		}
		b.Changed([32]byte{1})
		req := b.request(good)
		for _, f := range b.res.Forward {
			req.HTTP.Header.Set(f.Name, "forged")
		}
		b.answerTo(t, req).Apply(req.HTTP)
		for _, f := range b.res.Forward {
			values := req.HTTP.Header[f.Name]
			if want[f.Claim] == "" && len(values) != 0 || want[f.Claim] != "" && (len(values) != 1 || values[0] != want[f.Claim]) {
				t.Errorf("%s: %q, want %q", f.Claim, values, want[f.Claim])
			}
		}
	}
}

// A request without permission keeps every header but those that say who a person is.
func TestStripForwarded(t *testing.T) {
	t.Parallel()
	b := setup()
	h := http.Header{"X-User": {"root"}, "X_user": {"root"}, "Authorization": {"Basic x"}}
	if b.target.StripForwarded(h); len(h) != 3 {
		t.Errorf("a resource that forwards nothing took %v", h)
	}
	b.res.Forward = []policy.ForwardHeader{{Name: "X-User", Claim: policy.ClaimSubject}}
	if NewTarget(b.policy, b.res).StripForwarded(h); len(h) != 1 || h.Get("Authorization") != "Basic x" {
		t.Errorf("left %v", h)
	}
}
