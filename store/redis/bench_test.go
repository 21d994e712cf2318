// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

// The server runs on the same machine, over loopback.
func BenchmarkStore(b *testing.B) {
	s, err := redis.Open(b.Context(), redis.Options{Addresses: []string{redistest.Start(b).Addr}}, systemEnv())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	storetest.Bench(b, s)
}
