// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const (
	// benchValue is about what a grant takes.
	benchValue = 1500
	benchSite  = "0011223344556677"
)

func benchRecord(kind store.Kind, n, version uint64) store.Record {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	r := store.Record{
		Key:    store.Key{Site: benchSite, Kind: kind, ID: hex.EncodeToString(sum[:])},
		Person: sum, Expires: clock.System().Add(time.Hour).Truncate(time.Second), Value: make([]byte, benchValue),
	}
	binary.BigEndian.PutUint64(r.Version[:], version)
	return r
}

// Bench measures create, get and compare-and-swap with 1 and 64 clients. All stores have it
// as BenchmarkStore, so that one command measures them side by side:
//
//	go test -p 1 -run '^$' -bench BenchmarkStore ./store/...
func Bench(b *testing.B, s store.Store) {
	for _, clients := range []int{1, 64} {
		kind := store.Kind(fmt.Sprintf("bench%d", clients))
		var created, read, swapped atomic.Uint64
		benchRun(b, "create", clients, func() error { return s.Create(b.Context(), benchRecord(kind, created.Add(1), 1)) })
		benchRun(b, "get", clients, func() error {
			_, err := s.Get(b.Context(), benchRecord(kind, 1+read.Add(1)%created.Load(), 1).Key)
			return err
		})
		// Each client has a record of its own, as each person has a grant of his own.
		cas := func() func() error {
			n, version := 1<<32+swapped.Add(1), uint64(1)
			if err := s.Create(b.Context(), benchRecord(kind, n, version)); err != nil {
				return func() error { return err }
			}
			return func() error {
				prev := benchRecord(kind, n, version).Version
				version++
				return s.Update(b.Context(), benchRecord(kind, n, version), prev)
			}
		}
		b.Run(fmt.Sprintf("cas/%d", clients), func(b *testing.B) { parallel(b, clients, cas) })
	}
}

func benchRun(b *testing.B, name string, clients int, fn func() error) {
	b.Run(fmt.Sprintf("%s/%d", name, clients), func(b *testing.B) {
		parallel(b, clients, func() func() error { return fn })
	})
}

// parallel shares b.N calls among clients, each of which makes its own function.
func parallel(b *testing.B, clients int, client func() func() error) {
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error, clients)
	for range clients {
		go func() {
			fn := client()
			for left.Add(-1) >= 0 {
				if err := fn(); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}
