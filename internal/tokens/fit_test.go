// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// payloadOf verifies a JWT with go-jose and returns its claims.
func payloadOf(t *testing.T, k seal.SigningKey, token string) map[string]any {
	t.Helper()
	parsed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.Alg)})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := parsed.Verify(keySet(t, k).Key(k.KID)[0])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// nasty are texts that a provider may state and that something on the way could take for
// its own.
var nasty = []string{
	"Ann\r\nX-Role: admin\x00\x1b[31m", `Ann","roles":["admin"],"x":"`, `\u0000\"\\`, "𝒜𝓃𝓃 👩‍🚀", "{env.HOME}{http.request.header.X}",
	"Jürgen\u202egnu.exe", "</script><!--", "\u2028\u2029\ufeff",
}

// Whatever is in a claim stays within it.
func TestSec_H09_ClaimsAreEscaped(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{RS256, ES256} {
		k := signingKey(t, alg)
		for _, text := range nasty {
			c := fullClaims
			c.Name, c.PreferredUsername, c.Email, c.Roles = text, text, text, []string{text, "dev"}
			got := payloadOf(t, k, sign(t, k, c))
			roles, _ := got["roles"].([]any)
			if got["name"] != text || got["preferred_username"] != text || got["email"] != text || len(roles) != 2 || roles[0] != text {
				t.Errorf("%s: %q became %q", alg, text, got)
			}
			if len(got) != 15 || got["x"] != nil {
				t.Errorf("%s: %q made a claim of its own: %v", alg, text, got)
			}
		}
		c := fullClaims
		c.Name = "Ann\xff\xfe"
		if got := payloadOf(t, k, sign(t, k, c)); got["name"] != "Ann\ufffd\ufffd" {
			t.Errorf("%s: bytes that are no UTF-8 became %q", alg, got["name"])
		}
	}
}

func fit(t *testing.T, k seal.SigningKey, c Claims) (Claims, []string) {
	t.Helper()
	s, err := NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	fitted, dropped, err := s.Fit(c)
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Sign(fitted)
	if err != nil {
		t.Fatal(err)
	}
	if size, _ := s.size(fitted); size != len("Bearer "+token) || size > MaxHeader {
		t.Errorf("%s: %d bytes, computed as %d", k.Alg, len("Bearer "+token), size)
	}
	return fitted, dropped
}

func roles(n, length int) []string {
	var out []string
	for i := range n {
		out = append(out, string(rune('a'+i%26))+strings.Repeat("x", length-1))
	}
	return out
}

// longestScope fits in only where everything is left out that can be.
func longestScope(t *testing.T, k seal.SigningKey) string {
	t.Helper()
	s, err := NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	c := fullClaims
	c.Roles, c.Name, c.PreferredUsername, c.Email = nil, "", "", ""
	for size := 0; size <= MaxHeader; c.Scope += "s" {
		if size, err = s.size(c); err != nil {
			t.Fatal(err)
		}
	}
	return c.Scope[:len(c.Scope)-2]
}

// The header fits into what servers take, whatever a provider states, and what is left
// out is left out whole.
func TestJWTIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("👩‍🚀", 3000)
	escaped := strings.Repeat("\x01", 256)
	for _, alg := range []string{RS256, ES256} {
		k := signingKey(t, alg)
		for name, c := range map[string]struct {
			change func(*Claims)
			want   []string
		}{
			"nothing":           {func(*Claims) {}, nil},
			"many roles":        {func(c *Claims) { c.Roles = roles(100, 40) }, nil},
			"too many roles":    {func(c *Claims) { c.Roles = roles(400, 40) }, []string{"roles"}},
			"long name":         {func(c *Claims) { c.Name = long }, nil},
			"long user name":    {func(c *Claims) { c.PreferredUsername = long }, []string{"preferred_username"}},
			"long address":      {func(c *Claims) { c.Email = strings.Repeat("a", 321) }, []string{"email"}},
			"longest address":   {func(c *Claims) { c.Email = strings.Repeat("a", 320) }, nil},
			"everything":        {func(c *Claims) { c.Roles, c.Name, c.PreferredUsername, c.Email = roles(400, 40), long, long, long }, []string{"preferred_username", "email", "roles"}},
			"long scope":        {func(c *Claims) { c.Scope, c.Name = strings.Repeat("s", 5000), escaped }, []string{"roles", "name"}},
			"longest scope":     {func(c *Claims) { c.Scope = longestScope(t, k) }, []string{"roles", "name", "preferred_username", "email"}},
			"nothing to be had": {func(c *Claims) { c.Scope, c.Roles, c.Name = strings.Repeat("s", 5000), nil, "" }, nil},
		} {
			full := fullClaims
			c.change(&full)
			if alg == ES256 && name == "long scope" {
				full.Scope += strings.Repeat("s", 190) // a shorter signature
			}
			fitted, dropped := fit(t, k, full)
			if !slices.Equal(dropped, c.want) {
				t.Errorf("%s, %s: dropped %q, want %q", alg, name, dropped, c.want)
			}
			if len(fitted.Roles) != 0 && len(fitted.Roles) != len(full.Roles) {
				t.Errorf("%s, %s: a part of the roles", alg, name)
			}
			if !strings.HasPrefix(full.Name, fitted.Name) || fitted.Subject != full.Subject || fitted.Scope != full.Scope {
				t.Errorf("%s, %s: %+v", alg, name, fitted)
			}
		}
		s, err := NewSigner(k)
		if err != nil {
			t.Fatal(err)
		}
		c := fullClaims
		c.Subject = strings.Repeat("s", MaxHeader)
		if _, _, err := s.Fit(c); err == nil {
			t.Errorf("%s: a sub that does not fit fits", alg)
		}
	}
}

// A name is cut between characters.
func TestClip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"", 2, ""}, {"ab", 2, "ab"}, {"abc", 2, "ab"}, {"𝒜𝓃𝓃", 2, "𝒜𝓃"}, {"ü\xffx", 2, "ü\xff"}} {
		if got := clip(c.text, c.n); got != c.want {
			t.Errorf("%q cut to %d is %q, want %q", c.text, c.n, got, c.want)
		}
	}
}
