// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Issuer is the issuer of every vault here.
const Issuer = "https://mcp.example.com/oauth"

// Master returns the master key whose bytes count up from first.
func Master(t testing.TB, first byte) seal.Master {
	t.Helper()
	raw := make([]byte, seal.KeySize)
	for i := range raw {
		raw[i] = first + byte(i)
	}
	m, err := seal.NewMaster(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// SigningKeys returns a maker of signing keys that are quickly made and sign nothing:
// their kids count.
func SigningKeys() func(time.Time) (seal.SigningKey, error) {
	var n atomic.Int64
	return func(now time.Time) (seal.SigningKey, error) {
		i := n.Add(1)
		return seal.NewSigningKey(fmt.Sprintf("signing-%d", i), "RS256", fmt.Appendf(nil, "private key %d", i), now), nil
	}
}

// Config returns the configuration of a vault over s; its signing keys sign nothing.
func Config(s store.Store, now clock.Func, masters ...seal.Master) vault.Config {
	return vault.Config{
		Store: s, Issuer: Issuer, Masters: masters, Now: now, Rand: rand.Reader,
		NewSigningKey: SigningKeys(),
	}
}

// New returns a vault over s with one master key.
func New(t testing.TB, s store.Store, now clock.Func) *vault.Vault {
	t.Helper()
	return vault.New(Config(s, now, Master(t, 0)))
}

// Events remembers the events that it takes.
type Events struct {
	mu   sync.Mutex
	seen []event.Event
}

// Emit implements event.Sink.
func (e *Events) Emit(_ context.Context, ev event.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, ev)
}

// Modes returns the modes of the events of a kind, in order.
func (e *Events) Modes(k event.Kind) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, ev := range e.seen {
		if ev.Kind == k {
			out = append(out, ev.Mode)
		}
	}
	return out
}
