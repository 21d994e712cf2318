// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

const (
	// followEvery is how often a node looks whether another one has changed the keys, where
	// the store does not tell.
	followEvery = 20 * time.Second
	// followPatience bounds one such look.
	followPatience = 10 * time.Second
)

// vaultConfig is the configuration of every vault of the site.
func (s *site) vaultConfig(masters []seal.Master) vault.Config {
	return vault.Config{
		Store: s.store, Issuer: s.key.issuer, Masters: masters, Now: clock.System, Rand: rand.Reader,
		Log: s.log, Events: s.sink,
		NewSigningKey: func(now time.Time) (seal.SigningKey, error) {
			return tokens.NewSigningKey(rand.Reader, *s.alg.Load(), now)
		},
		Algorithm: func() string { return *s.alg.Load() },
	}
}

// followKeys keeps the keys of this node those of all nodes. It makes none: a site that
// has no keyring yet gets one when it is used.
func (s *site) followKeys(sv *services) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-sv.keysChanged:
		case <-tick.C:
		}
		if sv.vault.Loaded() != nil {
			s.safely(func() bool { return s.readKeys(sv) })
		}
	}
}

func (s *site) readKeys(sv *services) bool {
	ctx, cancel := context.WithTimeout(s.ctx, followPatience)
	defer cancel()
	return sv.vault.Reload(ctx) == nil
}

// followSoon has the keys read again.
func (sv *services) followSoon() {
	select {
	case sv.keysChanged <- struct{}{}:
	default:
	}
}
