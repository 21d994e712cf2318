// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
)

// The keyring is loaded in a goroutine of its own, where a panic would end the server.
func TestSec_J21_PanicWhileLoadingIsUnknown(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	v := vault.New(vault.Config{
		Store: vaulttest.NewStore(c.Now), Issuer: "https://as.example/oauth", Masters: []seal.Master{vaulttest.Master(t, 0)},
		Now: c.Now, Rand: zeros{}, NewSigningKey: func(time.Time) (seal.SigningKey, error) { panic("no entropy") },
	})
	if ring, err := v.Keyring(t.Context()); err == nil {
		t.Fatalf("got %v without a signing key", ring)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
