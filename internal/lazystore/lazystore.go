// SPDX-License-Identifier: Apache-2.0

// Package lazystore stands between the server and a store that may be absent, slow or
// gone. It opens the store when it is first needed, bounds how long and how many calls
// wait for it, sends writes again whose outcome is unknown, and stops asking a store
// that does not answer. A definite answer always passes through unchanged; everything
// that this package adds is an unknown error.
package lazystore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Unknown errors that come from here and not from the store.
var (
	// ErrUnavailable says that the store was not asked, since it did not answer lately.
	ErrUnavailable = errors.New("the store did not answer lately and is not asked for a moment")
	// ErrBusy says that too many calls were waiting for the store.
	ErrBusy = errors.New("too many calls are waiting for the store")
	// ErrClosed says that Close was called.
	ErrClosed = errors.New("the store is closed")
)

// Options bound how long and how many calls wait. A zero member means its default.
type Options struct {
	// CallTimeout ends one call to the store. Default 1 s.
	CallTimeout time.Duration
	// ResendFor is how long a write with an unknown outcome is sent again. Default 2 s.
	ResendFor time.Duration
	// InFlight is the largest number of calls in the store at a time. A call that does
	// not end at its deadline counts until it does. Default 256.
	InFlight int
	// Failures is how many unknown outcomes in a row open the breaker. Default 5.
	Failures int
	// Pause is how long the breaker stays open before one call may probe. Default 1 s.
	Pause time.Duration
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&o.CallTimeout, time.Second)
	set(&o.ResendFor, 2*time.Second)
	set(&o.Pause, time.Second)
	if o.InFlight <= 0 {
		o.InFlight = 256
	}
	if o.Failures <= 0 {
		o.Failures = 5
	}
	return o
}

// Store implements store.Store over an Opener.
type Store struct {
	// identity is what every opener of this store has.
	identity string
	env      store.Env
	options  Options
	slots    chan struct{}
	breaker  breaker

	mu       sync.Mutex
	opener   store.Opener
	inner    store.Store
	openedBy store.Opener // made inner
	opening  *opening
	closed   bool

	randMu sync.Mutex
}

// New returns a Store that has opened nothing yet. It takes jitter from env.Rand and
// writes to env.Log when the store stops and when it resumes answering.
func New(opener store.Opener, env store.Env, o Options) *Store {
	o = o.withDefaults()
	s := &Store{identity: opener.Identity(), opener: opener, env: env, options: o, slots: make(chan struct{}, o.InFlight)}
	s.breaker = breaker{limit: o.Failures, pause: o.Pause, changed: newJournal(s.identity, env).note}
	return s
}

// OpenBy makes the next attempt to open the store go by another configuration of the same
// data, with a corrected password for instance. A store that is open stays as it is while
// it answers.
func (s *Store) OpenBy(opener store.Opener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opener = opener
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, k store.Key) (store.Record, error) {
	return call(ctx, s, func(ctx context.Context, inner store.Store) (store.Record, error) {
		r, err := inner.Get(ctx, k)
		if err == nil {
			err = checkRecord(k, r)
		}
		return r, err
	})
}

// Create implements store.Store. It sends the same write again while the outcome is
// unknown.
func (s *Store) Create(ctx context.Context, r store.Record) error {
	r.Value = slices.Clone(r.Value)
	return s.resend(ctx, func(ctx context.Context, inner store.Store) error {
		return inner.Create(ctx, r)
	})
}

// Update implements store.Store. It sends the same write again while the outcome is
// unknown. ErrConflict is still a definite answer then, but it may mean that this very
// write happened and was overwritten since.
func (s *Store) Update(ctx context.Context, r store.Record, prev store.Version) error {
	r.Value = slices.Clone(r.Value)
	return s.resend(ctx, func(ctx context.Context, inner store.Store) error {
		return inner.Update(ctx, r, prev)
	})
}

// Delete implements store.Store. It sends the same write again while the outcome is
// unknown.
func (s *Store) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	return s.resend(ctx, func(ctx context.Context, inner store.Store) error {
		return inner.Delete(ctx, k, prev)
	})
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	return call(ctx, s, func(ctx context.Context, inner store.Store) (store.Page, error) {
		page, err := inner.List(ctx, q)
		if err == nil {
			err = checkPage(q, page)
		}
		return page, err
	})
}

// Sweep implements store.Store.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	return call(ctx, s, func(ctx context.Context, inner store.Store) (int, error) {
		return inner.Sweep(ctx, before, limit)
	})
}

// named says which store an error is about. Definite answers stay as they are.
func (s *Store) named(err error) error {
	if err == nil || definite(err) {
		return err
	}
	return fmt.Errorf("store %s: %w", s.identity, err)
}

func definite(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) ||
		errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLarge)
}

// Interface guards.
var (
	_ store.Store   = (*Store)(nil)
	_ store.Auditor = (*Store)(nil)
)
