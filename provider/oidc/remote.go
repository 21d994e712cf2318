// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// renewAfter is the age at which a document is fetched again.
	renewAfter = time.Hour
	// staleFor is how long a document is used while fetching it fails.
	staleFor = 24 * time.Hour
	// attemptEvery is the shortest time between two fetches while a document is at hand,
	// whatever asks for them (security.md G14).
	attemptEvery = 10 * time.Second
)

// remote is a document of the provider: fetched when it is first needed, by one caller
// for all, again when it is old, and kept while fetching fails. A failure is never
// remembered in place of a document.
type remote[T any] struct {
	fetch func(context.Context) (T, error)
	now   func() time.Time

	flight singleflight.Group

	mu      sync.Mutex
	value   T
	fetched time.Time // zero while there is no value
	tried   time.Time
	err     error // of the last attempt
}

// get returns the document, at most renewAfter old or, while it cannot be fetched,
// staleFor.
func (r *remote[T]) get(ctx context.Context) (T, error) {
	if v, ok := r.cached(renewAfter); ok {
		return v, nil
	}
	err := r.attempt(ctx)
	if v, ok := r.cached(staleFor); ok {
		return v, nil
	}
	var none T
	if err == nil {
		err = fmt.Errorf("the document is older than %v: %w", staleFor, r.lastError())
	}
	return none, err
}

// renew returns the document after trying to fetch it again, for a caller who finds
// something missing in it. The error is that of the last attempt: where it is not nil,
// a newer document may exist.
func (r *remote[T]) renew(ctx context.Context) (T, error) {
	if err := r.attempt(ctx); err != nil {
		var none T
		return none, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.value, r.err
}

func (r *remote[T]) cached(maxAge time.Duration) (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.value, r.within(r.fetched, maxAge)
}

func (r *remote[T]) lastError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// within tells whether t is less than d ago. A time in the future (the clock was set
// back) is not.
func (r *remote[T]) within(t time.Time, d time.Duration) bool {
	age := r.now().Sub(t)
	return !t.IsZero() && age >= 0 && age < d
}

// attempt fetches the document unless that was tried a moment ago and one is at hand.
// All callers share one fetch, which outlives those that give up.
func (r *remote[T]) attempt(ctx context.Context) error {
	shared := context.WithoutCancel(ctx)
	done := r.flight.DoChan("", func() (_ any, err error) {
		// This runs in a goroutine of its own, where a panic would end the whole server.
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		if r.resting() {
			return nil, nil
		}
		v, err := r.fetch(shared)
		r.record(v, err)
		return nil, err
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case res := <-done:
		return res.Err
	}
}

func (r *remote[T]) resting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.fetched.IsZero() && r.within(r.tried, attemptEvery)
}

func (r *remote[T]) record(v T, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried, r.err = r.now(), err
	if err == nil {
		r.value, r.fetched = v, r.tried
	}
}
