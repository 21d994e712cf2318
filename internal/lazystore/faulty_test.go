// SPDX-License-Identifier: Apache-2.0

package lazystore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/lazystore"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// opener opens the faulty store after failing by plan.
type opener struct {
	faulty *faulty.Store
	// gate, when not nil, holds every Open until it is closed.
	gate chan struct{}

	mu    sync.Mutex
	plan  []error
	opens int
}

func (*opener) Identity() string { return "test" }

func (o *opener) Open(context.Context, store.Env) (store.Store, error) {
	if o.gate != nil {
		<-o.gate
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opens++
	if len(o.plan) > 0 {
		err := o.plan[0]
		o.plan = slices.Delete(o.plan, 0, 1)
		return nil, err
	}
	return o.faulty, nil
}

func env() store.Env {
	return store.Env{Now: clock.System, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
}

// setUp returns a lazy store over a faulty one that works so far.
func setUp(t *testing.T, o lazystore.Options) (*lazystore.Store, *faulty.Store) {
	t.Helper()
	f := faulty.New(memory.New(memory.Options{}, env()))
	return lazystore.New(&opener{faulty: f}, env(), o), f
}

func record(version byte) store.Record {
	return store.Record{
		Key:     store.Key{Site: "0011223344556677", Kind: "grant", ID: strings.Repeat("a", 64)},
		Version: store.Version{version},
		Expires: clock.System().Add(time.Hour),
		Value:   []byte{version},
	}
}

func wantNil(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("error is %v, want none", err)
	}
}

// wantUnknown checks that err is the given one and no definite answer.
func wantUnknown(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
	for _, answer := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrTooLarge} {
		if errors.Is(err, answer) {
			t.Fatalf("error %v is the definite answer %v", err, answer)
		}
	}
}
