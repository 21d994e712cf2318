// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"crypto/rand"
	"log/slog"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azuretest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

// The emulator says what the module costs, and nothing about the service.
func BenchmarkStore(b *testing.B) {
	env := store.Env{Now: clock.System, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
	s, err := Open(b.Context(), azurite(azuretest.Azurite(b)), env)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	storetest.Bench(b, s)
}
