// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// BenchmarkStoreRedisSize tells how many bytes of the server's memory one record takes
// beside its value, with its entries in the indexes.
func BenchmarkStoreRedisSize(b *testing.B) {
	server := redistest.Start(b)
	s := openRedis(b, server)
	before := usedMemory(b, server)
	for n := range b.N {
		if err := s.Create(b.Context(), redisRecord(int64(n))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(usedMemory(b, server)-before)/float64(b.N)-sealed, "bytes/record")
}

func openRedis(b *testing.B, server *redistest.Server) *redis.Store {
	b.Helper()
	s, err := redis.Open(b.Context(), redis.Options{Addresses: []string{server.Addr}}, store.Env{Now: clock.System, Rand: rand.Reader})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// redisRecord is the n-th record: one of three of its person, one of thousands of its
// client.
func redisRecord(n int64) store.Record {
	id := sha256.Sum256(strconv.AppendInt(nil, n, 10))
	return newVersion(store.Record{
		Key:    store.Key{Site: "0011223344556677", Kind: "grant", ID: hex.EncodeToString(id[:])},
		Person: sha256.Sum256(strconv.AppendInt(nil, n/3, 10)), Client: sha256.Sum256(nil),
		Expires: clock.System().Add(30 * 24 * time.Hour), Value: make([]byte, sealed),
	})
}

func newVersion(r store.Record) store.Record {
	_, _ = rand.Read(r.Version[:]) // never fails
	return r
}

func usedMemory(b *testing.B, server *redistest.Server) int64 {
	b.Helper()
	info, err := server.Client(b).Info(b.Context(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	text, _, _ := strings.Cut(rest, "\r\n")
	bytes, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}
