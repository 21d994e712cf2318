// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	home  = netip.MustParseAddr("203.0.113.7")
	rules = Rules{Scopes: oauth.Scopes{"mcp", "admin", "offline_access"}}
)

// world is a Registry on a memory store, with a clock that stands still.
type world struct {
	*Registry
	clock  *clock.Fake
	store  *counting
	events *recorder
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: clock.NewFake(start), events: &recorder{}}
	w.store = &counting{Store: memory.New(memory.Options{}, store.Env{Now: w.clock.Now, Rand: rand.Reader})}
	t.Cleanup(func() { _ = w.store.Close() })
	w.Registry = w.node(t, "https://mcp.example.com/oauth", rand.Reader)
	if _, err := w.vault.Keyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.store.reset()
	return w
}

// node returns one more Registry on the same store.
func (w *world) node(t *testing.T, issuer string, random io.Reader) *Registry {
	t.Helper()
	master, err := seal.NewMaster(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	v := vault.New(vault.Config{
		Store: w.store, Issuer: issuer, Masters: []seal.Master{master}, Now: w.clock.Now, Rand: rand.Reader,
		NewSigningKey: func(now time.Time) (seal.SigningKey, error) {
			return seal.NewSigningKey("k", "ES256", []byte("unused here"), now), nil
		},
	})
	return New(Config{Vault: v, Rand: random, Now: w.clock.Now, Events: w.events})
}

// register registers and fails the test where that fails.
func (w *world) register(t *testing.T, body string) *oauth.RegistrationResponse {
	t.Helper()
	resp, err := w.Register(t.Context(), rules, home, []byte(body))
	if err != nil {
		t.Fatalf("Register(%s) = %v", body, err)
	}
	return resp
}

// find returns the client, or nil where it is definitely unknown.
func (w *world) find(t *testing.T, id string) *Client {
	t.Helper()
	c, err := w.Find(t.Context(), rules, id)
	if err != nil && oauth.AsError(err) == nil {
		t.Fatal(err)
	}
	return c
}

// counting counts the writes and can fail, or let somebody else write first.
type counting struct {
	store.Store
	reads, creates, updates atomic.Int64
	fail                    atomic.Bool
	beforeUpdate            func()
}

var errDown = errors.New("store is down")

func (c *counting) reset() { c.reads.Store(0); c.creates.Store(0); c.updates.Store(0) }

func (c *counting) Get(ctx context.Context, k store.Key) (store.Record, error) {
	c.reads.Add(1)
	if c.fail.Load() {
		return store.Record{}, errDown
	}
	return c.Store.Get(ctx, k)
}

func (c *counting) Create(ctx context.Context, r store.Record) error {
	c.creates.Add(1)
	if c.fail.Load() {
		return errDown
	}
	return c.Store.Create(ctx, r)
}

func (c *counting) Update(ctx context.Context, r store.Record, prev store.Version) error {
	c.updates.Add(1)
	if c.fail.Load() {
		return errDown
	}
	if f := c.beforeUpdate; f != nil {
		c.beforeUpdate = nil
		f()
	}
	return c.Store.Update(ctx, r, prev)
}

// recorder keeps events.
type recorder struct {
	mu     sync.Mutex
	events []event.Event
}

func (r *recorder) Emit(_ context.Context, e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) count(k event.Kind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

// wantNo fails the test unless err is a definite no with the code and status.
func wantNo(t *testing.T, what string, err error, code oauth.Code, status int) {
	t.Helper()
	if e := oauth.AsError(err); e == nil || e.Code != code || e.Status != status {
		t.Errorf("%s: %v, want %s %d", what, err, code, status)
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
