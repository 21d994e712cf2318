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
)

var errBroken = errors.New("connection reset")

// fault is what happens to one call.
type fault int

const (
	fine   fault = iota
	before       // fails and has no effect
	after        // has its effect and fails
	hang         // waits until the context ends, has no effect
	deaf         // ignores the context, has its effect when released
	wrong        // answers another question
	panics
)

// faulty is a memory store whose calls fail by plan.
type faulty struct {
	inner store.Store
	// released lets deaf calls go on.
	released chan struct{}

	mu     sync.Mutex
	plan   []fault
	always fault // once the plan is through
	calls  int
	inside int
	most   int
	closed bool
}

func (f *faulty) enter() fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	f.inside++
	f.most = max(f.most, f.inside)
	if len(f.plan) == 0 {
		return f.always
	}
	next := f.plan[0]
	f.plan = f.plan[1:]
	return next
}

func (f *faulty) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inside--
}

// set replaces the plan and forgets the calls so far.
func (f *faulty) set(always fault, plan ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.always, f.plan, f.calls = always, plan, 0
}

func (f *faulty) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// do runs one call with its fault.
func (f *faulty) do(ctx context.Context, effect func(context.Context) error) error {
	defer f.leave()
	switch f.enter() {
	case before:
		return errBroken
	case after:
		_ = effect(ctx)
		return errBroken
	case hang:
		<-ctx.Done()
		return ctx.Err()
	case deaf:
		<-f.released
		return effect(context.WithoutCancel(ctx))
	case panics:
		panic("bug in the driver")
	}
	return effect(ctx)
}

// wrongNow tells whether the next call answers another question, and counts it then.
func (f *faulty) wrongNow() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.always == wrong {
		f.calls++
	}
	return f.always == wrong
}

func (f *faulty) Get(ctx context.Context, k store.Key) (r store.Record, err error) {
	if f.wrongNow() {
		k.ID = strings.Repeat("f", 64)
		return store.Record{Key: k, Value: []byte("somebody else's")}, nil
	}
	err = f.do(ctx, func(ctx context.Context) (err error) { r, err = f.inner.Get(ctx, k); return err })
	return r, err
}

func (f *faulty) Create(ctx context.Context, r store.Record) error {
	return f.do(ctx, func(ctx context.Context) error { return f.inner.Create(ctx, r) })
}

func (f *faulty) Update(ctx context.Context, r store.Record, prev store.Version) error {
	return f.do(ctx, func(ctx context.Context) error { return f.inner.Update(ctx, r, prev) })
}

func (f *faulty) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	return f.do(ctx, func(ctx context.Context) error { return f.inner.Delete(ctx, k, prev) })
}

func (f *faulty) List(ctx context.Context, q store.Query) (p store.Page, err error) {
	if f.wrongNow() {
		return store.Page{Records: []store.Record{{Key: store.Key{Site: q.Site, Kind: "other", ID: "ff"}}}}, nil
	}
	err = f.do(ctx, func(ctx context.Context) (err error) { p, err = f.inner.List(ctx, q); return err })
	return p, err
}

func (f *faulty) Sweep(ctx context.Context, at time.Time, limit int) (n int, err error) {
	err = f.do(ctx, func(ctx context.Context) (err error) { n, err = f.inner.Sweep(ctx, at, limit); return err })
	return n, err
}

func (f *faulty) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return f.inner.Close()
}

// opener opens the faulty store after failing by plan.
type opener struct {
	faulty *faulty
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
func setUp(t *testing.T, o lazystore.Options) (*lazystore.Store, *faulty) {
	t.Helper()
	f := &faulty{inner: memory.New(memory.Options{}, env()), released: make(chan struct{})}
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
