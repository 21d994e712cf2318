// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

// entries is how many sign-ins the collector has to live with.
var entries = flag.Int("entries", 1_000_000, "number of cached or stored grants in the benchmark of the garbage collector")

// BenchmarkCollection is one full collection while the process holds nothing more than
// usual, a full cache of the guard, or a full memory store. B/entry is the heap of each;
// stopped-ns/op is how long the world stood still.
func BenchmarkCollection(b *testing.B) {
	for _, c := range []struct {
		name string
		fill func(testing.TB, int) any
	}{
		{"nothing", func(testing.TB, int) any { return nil }},
		{"cached", cachedGrants},
		{"stored", storedGrants},
	} {
		b.Run(c.name, func(b *testing.B) {
			before := heap()
			kept := c.fill(b, *entries)
			grown := heap() - before
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			stopped := stats.PauseTotalNs
			n := 0
			for b.Loop() {
				runtime.GC()
				n++
			}
			runtime.ReadMemStats(&stats)
			b.ReportMetric(float64(stats.PauseTotalNs-stopped)/float64(n), "stopped-ns/op")
			if kept != nil {
				b.ReportMetric(float64(grown)/float64(*entries), "B/entry")
			}
			runtime.KeepAlive(kept)
		})
	}
}

// heap is what is alive.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// everyone has signed in: each token is another grant of another person.
type everyone struct{}

func (everyone) Access(_ context.Context, token string) (*guard.Access, error) {
	sum := sha256.Sum256([]byte(token))
	id := hex.EncodeToString(sum[:16])
	return &guard.Access{
		Grant: [16]byte(sum[:16]), Record: sum, Client: "dcr_" + id, Resource: collected.Resources[0].URL, Scopes: oauth.Scopes{"mcp"},
		Person: provider.Person{
			Subject: "tenant." + id, Tenant: "tenant", ObjectID: id, Name: "Anna Admin",
			PreferredUsername: "anna@contoso.example", Email: "anna@contoso.example", EmailVerified: true, Roles: []string{"MCP.User"},
		},
		Expires: clock.System().Add(time.Hour),
	}, nil
}

func (everyone) Authentic(context.Context, string) error { return nil }

func (everyone) Alive(context.Context, [16]byte) error { return nil }

// collected is the policy under which the cache is filled.
var collected = func() *policy.Policy {
	r := &policy.Resource{URL: "https://mcp.example.com/mcp", Origin: "https://mcp.example.com", Host: "mcp.example.com", Path: "/mcp", Scopes: oauth.Scopes{"mcp"}}
	life := policy.DefaultLifetimes()
	life.GuardCache = time.Hour
	return &policy.Policy{
		Issuer: "https://mcp.example.com/oauth", Resources: []*policy.Resource{r},
		Lifetimes: life, Streams: policy.DefaultStreams(), Fingerprint: "bench",
	}
}()

// cachedGrants is a guard that has seen n tokens.
func cachedGrants(tb testing.TB, n int) any {
	tb.Helper()
	// A JWT is about this long; the token makes each another one.
	const length = 900
	g := guard.New(guard.Config{
		Grants: everyone{}, Now: clock.System, MaxEntries: n,
		Mint: func(_ context.Context, a *guard.Access, _ *policy.Policy, _ *policy.Resource) (string, time.Time, error) {
			return a.Client + strings.Repeat("x", length-len(a.Client)), clock.System().Add(time.Hour), nil
		},
	})
	target := guard.NewTarget(collected, collected.Resources[0])
	r, err := http.NewRequest(http.MethodPost, collected.Resources[0].URL, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		token := "mcpo_at_" + strings.Repeat("A", 80) + strconv.Itoa(1_000_000_000_000_000+i)
		r.Header["Authorization"] = []string{"Bearer " + token}
		if _, err := g.Admit(tb.Context(), guard.Request{HTTP: r, Target: target, Began: clock.System()}); err != nil {
			tb.Fatal(err)
		}
	}
	if got := g.Len(); got < n*99/100 {
		tb.Fatalf("the cache has %d entries", got)
	}
	return g
}

// storedGrants is a memory store with n grants of n people and of as many clients as one
// finds, each as large as one with a provider's refresh token of 900 bytes is sealed.
func storedGrants(tb testing.TB, n int) any {
	tb.Helper()
	const sealed, clients = 1854, 10
	s := memory.New(memory.Options{MaxRecords: n}, store.Env{Now: clock.System, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	expires := clock.System().Add(time.Hour)
	for i := range n {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		err := s.Create(tb.Context(), store.Record{
			Key:     store.Key{Site: "0123456789abcdef", Kind: "grant", ID: hex.EncodeToString(sum[:])},
			Version: store.Version(sum[:16]), Person: store.Index(sum), Client: store.Index{byte(i % clients), 1},
			Expires: expires.Add(time.Duration(i) * time.Second), Value: make([]byte, sealed),
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return s
}
