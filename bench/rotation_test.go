// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/file"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

const (
	rotationClient   = "dcr_client"
	rotationResource = "https://mcp.example.com/mcp"
	rotationVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// yes is a provider that says yes at once. Nothing else of it is called.
type yes struct{ provider.Provider }

// Refresh implements provider.Provider.
func (yes) Refresh(_ context.Context, t secret.String) (*provider.Session, error) {
	return &provider.Session{RefreshToken: t}, nil
}

// BenchmarkRotation is the rotation of refresh tokens over each store, by one client and by
// as many as a busy node serves at once: without the provider's call, and with one that takes
// no time, which costs a second write for the right to ask.
func BenchmarkRotation(b *testing.B) {
	env := store.Env{Now: clock.System, Rand: rand.Reader}
	stores := map[string]func(b *testing.B) store.Store{
		"memory": func(*testing.B) store.Store { return memory.New(memory.Options{}, env) },
		"file": func(b *testing.B) store.Store {
			s, err := file.Open(filepath.Join(b.TempDir(), "store.db"), env)
			if err != nil {
				b.Fatal(err)
			}
			return s
		},
		"redis": func(b *testing.B) store.Store { return openRedis(b, redistest.Start(b)) },
	}
	for name, open := range stores {
		for _, asked := range []bool{false, true} {
			for _, clients := range []int{1, 64} {
				b.Run(fmt.Sprintf("%s/provider=%t/clients=%d", name, asked, clients), func(b *testing.B) {
					s := open(b)
					defer s.Close()
					rotate(b, s, asked, clients)
				})
			}
		}
	}
}

func rotate(b *testing.B, s store.Store, asked bool, clients int) {
	v := vaulttest.New(b, s, clock.System)
	g := grants.New(grants.Config{
		Vault: v, Site: v.Site(), Now: clock.System, Rand: rand.Reader, Events: event.Discard{}, Changed: func(tokens.ID) {},
	})
	terms := grants.Terms{Provider: yes{}, Policy: &policy.Policy{
		Lifetimes: policy.DefaultLifetimes(), Verify: provider.Verification{Never: !asked},
		Resources: []*policy.Resource{{URL: rotationResource, Path: "/mcp", Scopes: oauth.Scopes{"mcp"}}},
	}}
	last := make([]string, clients)
	for i := range last {
		last[i] = firstToken(b, g, terms)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for range (b.N + clients - 1 - i) / clients {
				out, err := g.Refresh(b.Context(), terms, grants.Refreshing{Client: rotationClient, Token: last[i]})
				if err != nil {
					b.Error(err)
					return
				}
				last[i] = out.Refresh.Text().Reveal()
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refreshes/s")
}

// firstToken signs a person in and returns the refresh token.
func firstToken(b *testing.B, g *grants.Service, terms grants.Terms) string {
	b.Helper()
	code, err := g.IssueCode(b.Context(), grants.Request{
		Client: rotationClient, RedirectURI: "https://client.example/cb", Challenge: pkce.Challenge(rotationVerifier),
		Resource: rotationResource, Scope: "mcp offline_access",
	}, &provider.Session{Person: provider.Person{Subject: rand.Text()}, RefreshToken: secret.New(rand.Text())}, terms.Policy.Lifetimes.Code)
	if err != nil {
		b.Fatal(err)
	}
	out, err := g.Redeem(b.Context(), terms, grants.Redemption{
		Client: rotationClient, Code: code.Reveal(), Verifier: rotationVerifier, Resource: rotationResource, Refreshable: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	return out.Refresh.Text().Reveal()
}
