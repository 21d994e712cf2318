// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

func TestSec_J23_HeaderValue(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		c := string([]byte{byte(i)})
		want := c
		switch {
		case i < 0x20 || i == 0x7f:
			want = "" // a control character
		case i == '%' || i > 0x7f:
			want = fmt.Sprintf("%%%02X", i)
		case i == 0x80:
			want = "%80"
		}
		if got := HeaderValue("a" + c + "b"); got != "a"+want+"b" {
			t.Errorf("HeaderValue(%q) = %q", "a"+c+"b", got)
		}
		if got := HeaderValue(c); got != strings.TrimSpace(want) {
			t.Errorf("HeaderValue(%q) = %q", c, got)
		}
	}
	for text, want := range map[string]string{
		"":             "",
		"Zoë":          "Zo%C3%AB",
		"100%":         "100%25",
		"%41":          "%2541",
		"  a b  ":      "a b",
		"  é  ":        "%C3%A9",
		"\r\nX: y\r\n": "X: y",
		"a\u0085b\tc":  "abc",
		"漢\xff":        "%E6%BC%A2%FF",
		"\n\n":         "",
	} {
		if got := HeaderValue(text); got != want {
			t.Errorf("HeaderValue(%q) = %q, want %q", text, got, want)
		}
	}
}

// forwarding is a target with a header for each claim.
func forwarding() *Target {
	res := &policy.Resource{URL: "https://h.example/mcp", Origin: "https://h.example", Path: "/mcp"}
	for _, c := range policy.Claims {
		res.Forward = append(res.Forward, policy.ForwardHeader{Name: http.CanonicalHeaderKey("X-" + strings.ReplaceAll(string(c), "_", "-")), Claim: c})
	}
	return NewTarget(&policy.Policy{Scopes: map[string]policy.Scope{"write": {Implies: oauth.Scopes{"read"}}}}, res)
}

func TestEachClaimInItsHeader(t *testing.T) {
	t.Parallel()
	target := forwarding()
	a := &Access{
		Client: "dcr_é", Scopes: oauth.Scopes{"write"},
		Person: provider.Person{
			Subject: "t.o", Name: "Zoë\r\n", PreferredUsername: "zoe@a.example", Email: "z@a.example", EmailVerified: true,
			ObjectID: "o", Tenant: "t", Roles: []string{"Dev", "a,b", "100%"},
		},
	}
	h := http.Header{"X-Other": {"stays"}}
	target.setForwarded(h, forwarded(target, a))
	want := map[string]string{
		"X-Other": "stays", "X-Sub": "t.o", "X-Client-Id": "dcr_%C3%A9", "X-Scope": target.Policy.Closure(a.Scopes).String(), "X-Name": "Zo%C3%AB",
		"X-Preferred-Username": "zoe@a.example", "X-Email": "z@a.example", "X-Oid": "o", "X-Tid": "t", "X-Roles": "Dev,a%2Cb,100%25",
	}
	got := map[string]string{}
	for name, values := range h {
		got[name] = strings.Join(values, "|")
	}
	if !maps.Equal(got, want) || !strings.Contains(want["X-Scope"], "read") {
		t.Errorf("%q\nwant %q", got, want)
	}
	// What a person has not, or nobody verified, has no header.
	h = http.Header{}
	a.Person = provider.Person{Subject: "s", Email: "z@a.example"}
	target.setForwarded(h, forwarded(target, a))
	if len(h) != 3 || h.Get("X-Sub") != "s" {
		t.Errorf("%q", h)
	}
	if got := claimText("nonsense", target.Policy, a); got != "" {
		t.Errorf("a claim that does not exist is %q", got)
	}
}

func TestSec_J02_ForwardedHeadersOfTheClient(t *testing.T) {
	t.Parallel()
	target := forwarding()
	sent := func() http.Header {
		return http.Header{
			"X-Sub": {"forged"}, "x_sub": {"forged"}, "X.Name": {"forged"}, "X_Client_Id_": {"forged"}, "X-Roles": {"forged"},
			"Authorization": {"Bearer x"}, "Authorization_": {"x"}, "X-Subs": {"stays"}, "Mcp-Method": {"stays"},
		}
	}
	h := sent()
	target.StripForwarded(h)
	if want := []string{"Authorization", "Authorization_", "Mcp-Method", "X-Subs"}; len(h) != len(want) {
		t.Errorf("left %q, want %q", h, want)
	}
	b := setup()
	b.target, b.target.Policy = target, b.policy
	b.policy.Resources = []*policy.Resource{target.Resource}
	h = sent()
	b.admit(t, good).Apply(&http.Request{Header: h})
	want := http.Header{
		"Authorization": {"Bearer jwt.1"}, "X-Subs": {"stays"}, "Mcp-Method": {"stays"},
		"X-Sub": {"t.o"}, "X-Client-Id": {"dcr_x"}, "X-Scope": {"mcp"}, "X-Oid": {"o"}, "X-Roles": {"Dev"},
	}
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("backend gets %q\nwant         %q", h, want)
	}
	// A resource that forwards nothing has nothing to strip.
	h = sent()
	if NewTarget(b.policy, b.res).StripForwarded(h); len(h) != len(sent()) {
		t.Errorf("left %q", h)
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

// Everything that a JWT says counts, and no two texts run into each other.
func TestDigestOfAnAccess(t *testing.T) {
	t.Parallel()
	base := func() *Access {
		return &Access{
			Grant: [16]byte{1}, Client: "client", Resource: "resource", Scopes: oauth.Scopes{"a", "b"}, Expires: start,
			Person: provider.Person{
				Subject: "subject", Issuer: "issuer", Tenant: "tenant", ObjectID: "object", Name: "name", PreferredUsername: "username",
				Email: "email", EmailVerified: true, Roles: []string{"r", "s"},
			},
		}
	}
	seen := map[[32]byte]string{base().digest(): "itself"}
	if len(seen) != 1 || base().digest() != base().digest() {
		t.Error("differs the second time")
	}
	for name, change := range map[string]func(*Access){
		"grant":      func(a *Access) { a.Grant = [16]byte{2} },
		"client":     func(a *Access) { a.Client = "other" },
		"resource":   func(a *Access) { a.Resource = "other" },
		"scopes":     func(a *Access) { a.Scopes = oauth.Scopes{"a"} },
		"end":        func(a *Access) { a.Expires = start.Add(1) },
		"subject":    func(a *Access) { a.Person.Subject = "other" },
		"issuer":     func(a *Access) { a.Person.Issuer = "other" },
		"tenant":     func(a *Access) { a.Person.Tenant = "other" },
		"object":     func(a *Access) { a.Person.ObjectID = "other" },
		"name":       func(a *Access) { a.Person.Name = "other" },
		"username":   func(a *Access) { a.Person.PreferredUsername = "other" },
		"email":      func(a *Access) { a.Person.Email = "other" },
		"unverified": func(a *Access) { a.Person.EmailVerified = false },
		"roles":      func(a *Access) { a.Person.Roles = []string{"r"} },
		"more roles": func(a *Access) { a.Person.Roles = []string{"r", "s", ""} },
		"one role":   func(a *Access) { a.Person.Roles = []string{"rs"} },
		"zeros":      func(a *Access) { a.Person.Subject, a.Person.Issuer = "s\x00\x00\x00\x00\x00\x00\x00\x00i", "x" },
		"more zeros": func(a *Access) { a.Person.Subject, a.Person.Issuer = "s", "i\x00\x00\x00\x00\x00\x00\x00\x00x" },
		"shifted":    func(a *Access) { a.Person.Subject, a.Person.Issuer = "subjecti", "ssuer" },
	} {
		a := base()
		change(a)
		d := a.digest()
		if was, same := seen[d]; same {
			t.Errorf("%s is the same as %s", name, was)
		}
		seen[d] = name
	}
	// The zone of a time is no other time, and an address that nobody verified says nothing.
	a, b := base(), base()
	a.Person.EmailVerified, b.Person.EmailVerified, b.Person.Email = false, false, "other"
	if a.digest() != b.digest() || verifiedEmail(a.Person) != "" || verifiedEmail(base().Person) != "email" {
		t.Error("an address that nobody verified counts")
	}
}
