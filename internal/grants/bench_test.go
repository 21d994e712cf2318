// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// assent is a provider that says yes at once.
type assent struct{ provider.Provider }

func (assent) Refresh(_ context.Context, t secret.String) (*provider.Session, error) {
	return &provider.Session{RefreshToken: t}, nil
}

// BenchmarkRefresh is a rotation over the memory store, by one client and by as many as
// a busy node serves at once, each with a sign-in of its own. Asking the provider costs a
// second write, for the lease.
func BenchmarkRefresh(b *testing.B) {
	for _, asked := range []bool{false, true} {
		for _, clients := range []int{1, 64} {
			b.Run(fmt.Sprintf("provider=%t/clients=%d", asked, clients), func(b *testing.B) {
				n := newNode(b)
				n.Service.Events = event.Discard{}
				n.terms.Provider = assent{n.provider}
				n.terms.Policy.Verify.Never = !asked
				const century = 100 * 365 * 24 * time.Hour
				n.terms.Policy.Lifetimes.Refresh, n.terms.Policy.Lifetimes.RefreshIdle = century, century
				benchmarkRefresh(b, n, clients)
			})
		}
	}
}

func benchmarkRefresh(b *testing.B, n *node, clients int) {
	last := make([]string, clients)
	for i := range last {
		last[i] = text(*n.signIn(b).Refresh)
	}
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for i := range clients {
		wg.Go(func() {
			for range (b.N + clients - 1 - i) / clients {
				out, err := n.refresh(b, last[i])
				if err != nil {
					b.Error(err)
					return
				}
				last[i] = text(*out.Refresh)
				// One client refreshes shortly before the access token expires, as real ones do. The
				// clock of many stands still, or the right of another to ask would end meanwhile.
				if clients == 1 {
					n.clock.Advance(n.terms.Policy.Lifetimes.Access - time.Minute)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refreshes/s")
}
