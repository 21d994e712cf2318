// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net/http"
	"sync/atomic"
	"testing"
)

// BenchmarkGuardScaling is a hit on all cores, each of them a connection of its own: run
// it with -cpu 1,2 to see what a second core brings. With one token all read the same
// entry of the cache, with many each its own.
func BenchmarkGuardScaling(b *testing.B) {
	b.Run("1_token", func(b *testing.B) { scale(b, accessTokens(b, memoryHost, 1)) })
	b.Run("many_tokens", func(b *testing.B) { scale(b, accessTokens(b, memoryHost, *manyTokens)) })
}

func scale(b *testing.B, tokens []string) {
	b.Helper()
	s := clientOf(b, memoryHost).site
	warm := newCall(b, s, "")
	bearers := make([][]string, len(tokens))
	for i, token := range tokens {
		warm.use(token)
		warm.send(b, http.StatusOK)
		bearers[i] = warm.bearer
	}
	var workers atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c := newCall(b, s, "") // from an address of its own
		// Workers begin far from each other.
		i := int(workers.Add(1)) * 7919
		for ; pb.Next(); i++ {
			c.bearer = bearers[i%len(bearers)]
			c.send(b, http.StatusOK)
		}
	})
}
