// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"testing"
)

// token has the length of a real one.
var token = "mcpo_at_" + strings.Repeat("A", 96)

func hot() (*bench, Request) {
	b := setup()
	b.tokens[token] = b.tokens[good]
	req := b.request(token, "Accept", "application/json, text/event-stream", "Content-Type", "application/json",
		"Mcp-Session-Id", "0123456789", "Mcp-Protocol-Version", "2025-11-25", "User-Agent", "bench")
	return b, req
}

func BenchmarkHit(b *testing.B) {
	g, req := hot()
	original := req.HTTP.Header["Authorization"]
	b.ReportAllocs()
	for b.Loop() {
		req.HTTP.Header["Authorization"] = original
		pass, err := g.Admit(b.Context(), req)
		if err != nil {
			b.Fatal(err)
		}
		pass.Apply(req.HTTP)
	}
}

func BenchmarkHitParallel(b *testing.B) {
	g, _ := hot()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		_, req := hot()
		for pb.Next() {
			if _, err := g.Admit(b.Context(), req); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkMiss is a first look-up with a store and a signature that cost nothing.
func BenchmarkMiss(b *testing.B) {
	g, req := hot()
	b.ReportAllocs()
	for b.Loop() {
		g.Changed([32]byte{1})
		if _, err := g.Admit(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefusal(b *testing.B) {
	g, req := hot()
	req.HTTP.Header.Del("Authorization")
	b.ReportAllocs()
	for b.Loop() {
		if w, _ := g.answer(req); w.Code != 401 {
			b.Fatal(w.Code)
		}
	}
}

func BenchmarkEvictOfManyEntries(b *testing.B) {
	g := setup()
	for i := range DefaultMaxEntries {
		sum := sha256.Sum256([]byte(strconv.Itoa(i)))
		g.cache.put(&entry{key: key{token: sum}, record: sum}, 0)
	}
	for b.Loop() {
		g.Changed([32]byte{9})
	}
}

// The pass and the new header value are all that a hit allocates.
func TestHitAllocatesNextToNothing(t *testing.T) {
	b, req := hot()
	original := req.HTTP.Header["Authorization"]
	n := testing.AllocsPerRun(200, func() {
		req.HTTP.Header["Authorization"] = original
		pass, err := b.Admit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		pass.Apply(req.HTTP)
	})
	if n > 2 {
		t.Errorf("%v allocations", n)
	}
}
