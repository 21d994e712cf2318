// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// newMinter returns the minter of a site whose keys are of an algorithm, and its log.
func newMinter(t *testing.T, alg string) (*minter, *bytes.Buffer) {
	t.Helper()
	s := siteOver(t, &fakeStore{})
	s.alg.Store(&alg)
	v, err := s.inspector(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.start.Do(func() { close(s.done) }); _ = s.Destruct() })
	var log bytes.Buffer
	return &minter{vault: v, now: clock.System, rand: rand.Reader, log: slog.New(slog.NewTextHandler(&log, nil))}, &log
}

func claimsOf(t *testing.T, jwt string) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(payload, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// What a person has from the provider is in the JWT, but for groups and addresses that
// nobody verified; a JWT that would be too long has less, and the log says what.
func TestMint(t *testing.T) {
	t.Parallel()
	res := &policy.Resource{URL: "https://mcp.example.com/mcp", Audience: "api://mcp", Scopes: oauth.Scopes{"mcp"}}
	p := &policy.Policy{Issuer: "https://mcp.example.com/oauth", Lifetimes: policy.DefaultLifetimes(), Resources: []*policy.Resource{res}}
	for _, alg := range []string{tokens.RS256, tokens.ES256} {
		m, log := newMinter(t, alg)
		a := &guard.Access{
			Client: "dcr_1", Scopes: oauth.Scopes{"mcp"}, Expires: m.now().Add(time.Hour),
			Person: provider.Person{
				Subject: "jane", Name: "Jane", PreferredUsername: "jane@example.com", ObjectID: "o", Tenant: "t",
				Email: "jane@example.com", EmailVerified: true, Roles: []string{"admin"}, Groups: []string{"g1", "g2"},
			},
		}
		jwt, expires, err := m.mint(t.Context(), a, p, res)
		if err != nil {
			t.Fatal(err)
		}
		got := claimsOf(t, jwt)
		if got["aud"] != "api://mcp" || got["name"] != "Jane" || got["email"] != "jane@example.com" || got["oid"] != "o" || got["tid"] != "t" || got["groups"] != nil || len(got) != 15 {
			t.Errorf("%s: %v", alg, got)
		}
		if life := expires.Sub(m.now()); life > 5*time.Minute || life < 4*time.Minute || log.Len() > 0 {
			t.Errorf("%s: lives for %v; log %s", alg, life, log)
		}
		a.Person.EmailVerified = false
		for range 500 {
			a.Person.Roles = append(a.Person.Roles, "a role with a name of some length")
		}
		if jwt, _, err = m.mint(t.Context(), a, p, res); err != nil {
			t.Fatal(err)
		}
		got = claimsOf(t, jwt)
		if got["roles"] != nil || got["email"] != nil || got["name"] != "Jane" || len("Bearer "+jwt) > tokens.MaxHeader {
			t.Errorf("%s: %d bytes: %v", alg, len(jwt), got)
		}
		if out := log.String(); !strings.Contains(out, "claims=[roles]") || !strings.Contains(out, "sub=jane") {
			t.Errorf("%s: log %s", alg, out)
		}
		a.Person.Subject = strings.Repeat("j", tokens.MaxHeader)
		if jwt, _, err = m.mint(t.Context(), a, p, res); err == nil {
			t.Errorf("%s: a JWT of %d bytes", alg, len(jwt))
		}
	}
}
