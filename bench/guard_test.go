// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// BenchmarkPassThrough is a request that is nobody's: what a site pays for having the
// directive.
func BenchmarkPassThrough(b *testing.B) {
	c := newCall(b, clientOf(b, memoryHost).site, "x")
	c.plain.URL.Path, c.plain.RequestURI = "/favicon.ico", "/favicon.ico"
	c.prepare()
	b.ReportAllocs()
	for b.Loop() {
		c.send(b, http.StatusOK)
	}
}

// BenchmarkGuardHit is a request whose token the guard has seen.
func BenchmarkGuardHit(b *testing.B) {
	b.Run("1_token", func(b *testing.B) {
		c := newCall(b, clientOf(b, memoryHost).site, accessTokens(b, memoryHost, 1)[0])
		c.send(b, http.StatusOK)
		b.ReportAllocs()
		for b.Loop() {
			c.send(b, http.StatusOK)
		}
	})
	b.Run("many_tokens", func(b *testing.B) {
		c, bearers := seen(b)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c.bearer = bearers[i%len(bearers)]
			c.send(b, http.StatusOK)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		_, bearers := seen(b)
		var workers atomic.Int64
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			c := newCall(b, clientOf(b, memoryHost).site, "")
			// Workers begin far from each other.
			i := int(workers.Add(1)) * 7919
			for ; pb.Next(); i++ {
				c.bearer = bearers[i%len(bearers)]
				c.send(b, http.StatusOK)
			}
		})
	})
	b.Run("new_request", func(b *testing.B) {
		s, token := clientOf(b, memoryHost).site, accessTokens(b, memoryHost, 1)[0]
		newCall(b, s, token).send(b, http.StatusOK)
		b.ReportAllocs()
		for b.Loop() {
			newCall(b, s, token).send(b, http.StatusOK)
		}
	})
}

// seen returns many tokens, all of which the guard has seen.
func seen(b *testing.B) (*call, [][]string) {
	b.Helper()
	c := newCall(b, clientOf(b, memoryHost).site, "")
	var bearers [][]string
	for _, token := range accessTokens(b, memoryHost, *manyTokens) {
		c.use(token)
		c.send(b, http.StatusOK)
		bearers = append(bearers, c.bearer)
	}
	return c, bearers
}

// BenchmarkRequest is what BenchmarkGuardHit/new_request spends before the handler.
func BenchmarkRequest(b *testing.B) {
	s := clientOf(b, memoryHost).site
	b.ReportAllocs()
	for b.Loop() {
		newCall(b, s, "x")
	}
}

// BenchmarkGuardMiss is a request whose token has to be looked up in the store. Its JWT
// is still good and is used again.
func BenchmarkGuardMiss(b *testing.B) {
	for _, store := range stores {
		b.Run(store.name, func(b *testing.B) {
			tokens := accessTokens(b, store.host, 100)
			c := newCall(b, siteWith(b, store.host, "tokens {\nguard_cache 0s\n}"), "")
			var bearers [][]string
			for _, token := range tokens {
				c.use(token)
				c.send(b, http.StatusOK)
				bearers = append(bearers, c.bearer)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.bearer = bearers[i%len(bearers)]
				c.send(b, http.StatusOK)
			}
		})
	}
}

// policies counts configurations that differ in a word that matters to the guard.
var policies atomic.Int64

// BenchmarkGuardFirst is the first request with a token: the store is asked, and a JWT
// is signed. A configuration with another policy makes every token new to the guard.
func BenchmarkGuardFirst(b *testing.B) {
	tokens := accessTokens(b, memoryHost, *manyTokens)
	fresh := func() *call {
		life := strconv.FormatInt(300-policies.Add(1)%240, 10)
		return newCall(b, siteWith(b, memoryHost, "tokens {\nbackend_jwt "+life+"s\n}"), "")
	}
	c := fresh()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i > 0 && i%len(tokens) == 0 {
			b.StopTimer()
			c = fresh()
			b.StartTimer()
		}
		c.use(tokens[i%len(tokens)])
		c.send(b, http.StatusOK)
	}
}

// BenchmarkGuardInvented is a request whose token nobody issued: 401 without a look at
// the store.
func BenchmarkGuardInvented(b *testing.B) {
	token := accessTokens(b, memoryHost, 1)[0]
	for _, invention := range []struct{ name, token string }{
		{"malformed", strings.Repeat("x", 104)},
		{"unknown_key", "mcpo_at_AQ" + strings.Repeat("x", 94)},
		{"forged", forged(token)},
	} {
		b.Run(invention.name, func(b *testing.B) {
			c := newCall(b, clientOf(b, memoryHost).site, invention.token)
			b.ReportAllocs()
			for b.Loop() {
				c.send(b, http.StatusUnauthorized)
			}
		})
	}
}
