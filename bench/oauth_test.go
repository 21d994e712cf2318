// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
)

// BenchmarkDiscovery is each of the documents that a client reads first.
func BenchmarkDiscovery(b *testing.B) {
	s := clientOf(b, memoryHost).site
	for _, document := range []struct{ name, path string }{
		{"resource", "/.well-known/oauth-protected-resource/mcp"},
		{"server", "/.well-known/oauth-authorization-server/oauth"},
	} {
		b.Run(document.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := s.request(http.MethodGet, document.path, "")
				if err == nil {
					_, err = s.serve(r, http.StatusOK)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRegister is a registration that is known already, as nearly all are.
func BenchmarkRegister(b *testing.B) {
	onEachStore(b, func(b *testing.B, c *client) {
		for b.Loop() {
			if _, err := c.register(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAuthorize is the authorization request, answered by a redirect to the login
// page.
func BenchmarkAuthorize(b *testing.B) {
	verifier := newVerifier(b)
	onEachStore(b, func(b *testing.B, c *client) {
		for b.Loop() {
			if _, err := c.authorize(verifier); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkLoginPage is the consent page.
func BenchmarkLoginPage(b *testing.B) {
	verifier := newVerifier(b)
	onEachStore(b, func(b *testing.B, c *client) {
		page, err := c.authorize(verifier)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := c.browse(http.MethodGet, page, "", nil, http.StatusOK); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkLogin is authorize, page, continue, provider, callback and token. provider-ns
// is the part of the time in which the provider worked.
func BenchmarkLogin(b *testing.B) {
	onEachStore(b, func(b *testing.B, c *client) {
		defer reportProvider(b, c)()
		for b.Loop() {
			if _, err := c.signIn(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTokenExchange is a code for tokens; the login before it is not counted.
func BenchmarkTokenExchange(b *testing.B) {
	verifier := newVerifier(b)
	onEachStore(b, func(b *testing.B, c *client) {
		for b.Loop() {
			b.StopTimer()
			code, err := c.code(verifier)
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if _, err := c.redeem(code, verifier); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRefresh is a refresh token for new tokens, with the provider's consent.
// provider-ns is the part of the time in which the provider worked.
func BenchmarkRefresh(b *testing.B) {
	onEachStore(b, func(b *testing.B, c *client) {
		p, err := c.signIn()
		if err != nil {
			b.Fatal(err)
		}
		defer reportProvider(b, c)()
		for b.Loop() {
			if p, err = c.refresh(p.Refresh); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func onEachStore(b *testing.B, run func(*testing.B, *client)) {
	b.Helper()
	for _, store := range stores {
		c := clientOf(b, store.host)
		b.Run(store.name, func(b *testing.B) {
			b.ReportAllocs()
			run(b, c)
		})
	}
}

// reportProvider returns what reports the provider's part of each operation.
func reportProvider(b *testing.B, c *client) func() {
	b.Helper()
	before := c.up.busy(b)
	return func() {
		spent := c.up.busy(b) - before
		b.ReportMetric(float64(spent/time.Nanosecond)/float64(b.N), "provider-ns/op")
	}
}

func newVerifier(b *testing.B) string {
	b.Helper()
	v, err := pkce.NewVerifier(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	return v
}
