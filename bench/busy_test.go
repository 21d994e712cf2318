// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// refreshing is how many sign-ins are refreshed beside the guard.
const refreshing = 1000

// BenchmarkGuardWhileRefreshing is a hit of the guard, alone and while 1,000 sign-ins are
// refreshed one after the other, each with the provider's answer, as fast as one processor
// can. p50-ns and p99-ns are of single requests.
func BenchmarkGuardWhileRefreshing(b *testing.B) {
	c := clientOf(b, memoryHost)
	hit := newCall(b, c.site, accessTokens(b, memoryHost, 1)[0])
	b.Run("alone", func(b *testing.B) { percentiles(b, hit) })
	pairs := make([]pair, refreshing)
	for i := range pairs {
		var err error
		if pairs[i], err = c.signIn(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("refreshing", func(b *testing.B) {
		var stop atomic.Bool
		var refreshes int
		var done sync.WaitGroup
		done.Go(func() {
			for ; !stop.Load(); refreshes++ {
				p, err := c.refresh(pairs[refreshes%refreshing].Refresh)
				if err != nil {
					b.Error(err)
					return
				}
				pairs[refreshes%refreshing] = p
			}
		})
		percentiles(b, hit)
		stop.Store(true)
		done.Wait()
		b.ReportMetric(float64(refreshes)/b.Elapsed().Seconds(), "refreshes/s")
	})
}

func percentiles(b *testing.B, c *call) {
	var times []time.Duration
	for b.Loop() {
		start := clock.System()
		c.send(b, http.StatusOK)
		times = append(times, clock.System().Sub(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds()), "p99-ns")
}
