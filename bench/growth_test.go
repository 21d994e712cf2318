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
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/file"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

// sessions are how many a store has in the benchmark of growth: few, and so many.
var sessions = flag.Int("sessions", 100_000, "number of sessions in the benchmark of growth")

// sessionBytes is the sealed value of a grant after a refresh, without the provider's
// token; internal/grants measures it.
const sessionBytes = 1290

// probes are how many of the sessions are read and updated, each once in turn.
const probes = 4096

// grown is a store with many sessions, and some of them as the server works with them.
type grown struct {
	store.Store
	vault  *vault.Vault
	probes []*vault.Record[note]
	// bytes is what the store takes, on the heap or on the disk.
	bytes int64
}

func growthRecord(n int) store.Record {
	id := sha256.Sum256(fmt.Append(nil, "session", n))
	r := store.Record{
		Key:    store.Key{Site: "0011223344556677", Kind: notes.Name, ID: hex.EncodeToString(id[:])},
		Person: sha256.Sum256(fmt.Append(nil, "person", n/2)), Client: store.Index{byte(n % 10), 1},
		Expires: time.Unix(1<<33, 0), Value: make([]byte, sessionBytes),
	}
	_, _ = rand.Read(r.Version[:]) // never fails
	return r
}

// grow fills a store with records and with a vault's.
func grow(b *testing.B, s store.Store, n int, bytes func() int64) *grown {
	b.Helper()
	g := &grown{Store: s, probes: make([]*vault.Record[note], probes), vault: vaulttest.New(b, s, clock.System)}
	before := bytes()
	value := note{Text: strings.Repeat("x", sessionBytes-100)}
	var all errgroup.Group
	const writers = 256
	for w := range writers {
		all.Go(func() error {
			for i := w; i < n; i += writers {
				if i >= probes {
					if err := s.Create(b.Context(), growthRecord(i)); err != nil {
						return err
					}
					continue
				}
				o := vault.Options{Expires: time.Unix(1<<33, 0), Person: fmt.Sprint(i / 2), Client: fmt.Sprint(i % 10)}
				var err error
				if g.probes[i], err = vault.Create(b.Context(), g.vault, notes, fmt.Sprint(i), value, o); err != nil {
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

// BenchmarkGrowth reads and updates sessions as the server does, among few and among
// many. p50-ns is the median of single calls, B/session what the store takes for each
// session, and gc-ns the median of a whole garbage collection beside the store.
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
		return grow(b, memory.New(memory.Options{MaxRecords: n + 1}, e), n, heap)
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

func growthGet(b *testing.B, g *grown, n int) {
	var times []time.Duration
	for i := 0; b.Loop(); i++ {
		id := fmt.Sprint(i % probes)
		start := clock.System()
		_, err := vault.Get(b.Context(), g.vault, notes, id)
		times = append(times, clock.System().Sub(start))
		if err != nil {
			b.Fatal(err)
		}
	}
	report(b, g, times, n)
	var pauses []time.Duration
	for range 9 {
		start := clock.System()
		runtime.GC()
		pauses = append(pauses, clock.System().Sub(start))
	}
	b.ReportMetric(median(pauses), "gc-ns")
}

func growthUpdate(b *testing.B, g *grown, n int) {
	var times []time.Duration
	for i := 0; b.Loop(); i++ {
		rec := g.probes[i%probes]
		rec.Value.N = i
		start := clock.System()
		err := vault.Update(b.Context(), g.vault, notes, rec)
		times = append(times, clock.System().Sub(start))
		if err != nil {
			b.Fatal(err)
		}
	}
	report(b, g, times, n)
}

func median(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2].Nanoseconds())
}

func report(b *testing.B, g *grown, times []time.Duration, n int) {
	b.Helper()
	b.ReportMetric(median(times), "p50-ns")
	b.ReportMetric(float64(g.bytes)/float64(n), "B/session")
}
