// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// sized is the n-th record of a size that grants have.
func sized(n int) store.Record {
	r := store.Record{
		Key:     store.Key{Site: "0011223344556677", Kind: "grant"},
		Expires: time.Unix(1<<33, 0), Value: make([]byte, 700),
	}
	id := [32]byte{byte(n * 7), byte(n >> 8), byte(n >> 16), byte(n)}
	r.ID = hex.EncodeToString(id[:])
	_, _ = rand.Read(r.Version[:])
	r.Person, r.Client = store.Index{byte(n), byte(n >> 8), byte(n >> 16), 1}, store.Index{1}
	return r
}

func filled(t testing.TB, n int) *Store {
	t.Helper()
	s := New(Options{MaxRecords: n + 1}, store.Env{Now: clock.System})
	for i := range n {
		if err := s.Create(t.Context(), sized(i)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// BenchmarkGC is a whole garbage collection beside a store.
func BenchmarkGC(b *testing.B) {
	for _, n := range []int{0, 10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := filled(b, n)
			for b.Loop() {
				runtime.GC()
			}
			runtime.KeepAlive(s)
		})
	}
}
