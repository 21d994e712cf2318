// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/file"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

// sessions are how many a store has in the benchmark of growth: few, and so many.
var sessions = flag.Int("sessions", 100_000, "number of sessions in the benchmark of growth")

// sessionBytes is the sealed value of a grant after a refresh, without the provider's
// token; internal/grants measures it.
const sessionBytes = 1290

// grown are stores by their number of records, which are made once.
type grown struct {
	store.Store
	versions []store.Version
	// bytes is what the store takes, on the heap or on the disk.
	bytes int64
}

func growthRecord(n int) store.Record {
	id := sha256.Sum256(fmt.Append(nil, "session", n))
	r := store.Record{
		Key:    store.Key{Site: "0011223344556677", Kind: "grant", ID: hex.EncodeToString(id[:])},
		Person: sha256.Sum256(fmt.Append(nil, "person", n/2)), Client: store.Index{byte(n % 10), 1},
		Expires: time.Unix(1<<33, 0), Value: make([]byte, sessionBytes),
	}
	_, _ = rand.Read(r.Version[:]) // never fails
	return r
}

// grow fills a store.
func grow(b *testing.B, s store.Store, n int, bytes func() int64) *grown {
	b.Helper()
	g := &grown{Store: s, versions: make([]store.Version, n)}
	before := bytes()
	var all errgroup.Group
	const writers = 256
	for w := range writers {
		all.Go(func() error {
			for i := w; i < n; i += writers {
				r := growthRecord(i)
				g.versions[i] = r.Version
				if err := s.Create(b.Context(), r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		b.Fatal(err)
	}
	g.bytes = bytes() - before
	return g
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkGrowth reads and updates sessions at random. p50-ns is the median of single
// calls; B/session is what the store takes for each.
func BenchmarkGrowth(b *testing.B) {
	for _, kind := range []string{"memory", "file"} {
		for _, n := range []int{10_000, *sessions} {
			var g *grown
			open := func(b *testing.B) *grown {
				b.Helper()
				if g == nil {
					g = openGrown(b, kind, n)
				}
				return g
			}
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				b.Run("get", func(b *testing.B) { growthGet(b, open(b), n) })
				b.Run("update", func(b *testing.B) { growthUpdate(b, open(b), n) })
				if kind == "memory" {
					b.Run("gc", func(b *testing.B) {
						open(b)
						for b.Loop() {
							runtime.GC()
						}
					})
				}
			})
			if g != nil {
				if err := g.Close(); err != nil {
					b.Error(err)
				}
			}
		}
	}
}

func openGrown(b *testing.B, kind string, n int) *grown {
	b.Helper()
	e := store.Env{Now: clock.System}
	if kind == "memory" {
		return grow(b, memory.New(memory.Options{MaxRecords: n}, e), n, heap)
	}
	dir, err := os.MkdirTemp("", "growth")
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, "store.db")
	s, err := file.Open(path, e)
	if err != nil {
		b.Fatal(err)
	}
	// The open file outlives its name, and ends with the process.
	defer os.RemoveAll(dir)
	return grow(b, s, n, func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		return info.Size()
	})
}

// order is where the i-th call goes: all over the sessions.
func order(i, n int) int { return int(uint64(i) * 0x9e3779b97f4a7c15 % uint64(n)) }

func growthGet(b *testing.B, g *grown, n int) {
	keys := make([]store.Key, 4096)
	for i := range keys {
		keys[i] = growthRecord(order(i, n)).Key
	}
	var times []time.Duration
	for i := 0; b.Loop(); i++ {
		start := clock.System()
		_, err := g.Get(b.Context(), keys[i%len(keys)])
		times = append(times, clock.System().Sub(start))
		if err != nil {
			b.Fatal(err)
		}
	}
	report(b, g, times, n)
}

func growthUpdate(b *testing.B, g *grown, n int) {
	var times []time.Duration
	for i := 0; b.Loop(); i++ {
		at := order(i, n)
		r := growthRecord(at)
		start := clock.System()
		err := g.Update(b.Context(), r, g.versions[at])
		times = append(times, clock.System().Sub(start))
		if err != nil {
			b.Fatal(err)
		}
		g.versions[at] = r.Version
	}
	report(b, g, times, n)
}

func report(b *testing.B, g *grown, times []time.Duration, n int) {
	b.Helper()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(g.bytes)/float64(n), "B/session")
}
