// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

func BenchmarkStore(b *testing.B) {
	s := memory.New(memory.Options{MaxRecords: 1 << 24}, store.Env{Now: clock.System})
	defer s.Close()
	storetest.Bench(b, s)
}
