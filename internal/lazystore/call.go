// SPDX-License-Identifier: Apache-2.0

package lazystore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// The pause before a write is sent again: doubling from the first to the last, each
// multiplied by a random number between one half and one.
const (
	firstPause = 40 * time.Millisecond
	lastPause  = 320 * time.Millisecond
)

// call asks the store once.
func call[T any](ctx context.Context, s *Store, fn func(context.Context, store.Store) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, s.named(err)
	}
	permit, allowed := s.breaker.allow()
	if !allowed {
		return none, s.named(ErrUnavailable)
	}
	if permit.probe {
		s.reopen()
	}
	value, err := attempt(ctx, s, fn)
	s.breaker.report(permit, verdictOf(ctx, err), err)
	if err != nil {
		return none, s.named(err)
	}
	return value, nil
}

// resend sends a write until its outcome is known, but no longer than ResendFor. A write
// may be repeated because the store knows it by its version. Once it has been sent, an
// open breaker is only waited for: its outcome matters more than a quick answer.
func (s *Store) resend(ctx context.Context, fn func(context.Context, store.Store) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.ResendFor)
	defer cancel()
	var last error
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		_, err := call(ctx, s, func(ctx context.Context, inner store.Store) (struct{}, error) {
			return struct{}{}, fn(ctx, inner)
		})
		switch {
		case err == nil || definite(err):
			return err
		case errors.Is(err, ErrClosed) || errors.Is(err, store.ErrRefused) || last == nil && errors.Is(err, ErrUnavailable):
			return err
		}
		// What the store itself said is worth more than that it was not asked again.
		if last == nil || !errors.Is(err, ErrUnavailable) {
			last = err
		}
		if !sleep(ctx, s.jitter(pause)) {
			return last
		}
	}
}

// sleep waits for d and tells whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// jitter returns between half of d and d.
func (s *Store) jitter(d time.Duration) time.Duration {
	s.randMu.Lock()
	defer s.randMu.Unlock()
	var b [2]byte
	if _, err := io.ReadFull(s.env.Rand, b[:]); err != nil {
		return d
	}
	return d/2 + d/2*time.Duration(binary.BigEndian.Uint16(b[:]))/(1<<16)
}

// outcome is what a call in the store came back with.
type outcome[T any] struct {
	value T
	err   error
}

// attempt runs fn in a goroutine, so that a store that ignores its context cannot keep
// the caller beyond CallTimeout. Such a call goes on holding its slot, which is how the
// number of stuck goroutines stays bounded.
func attempt[T any](ctx context.Context, s *Store, fn func(context.Context, store.Store) (T, error)) (T, error) {
	var none T
	ctx, cancel := context.WithTimeout(ctx, s.options.CallTimeout)
	defer cancel()
	inner, err := s.Backend(ctx)
	if err != nil {
		return none, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
	back := make(chan outcome[T], 1)
	go func() {
		defer func() { <-s.slots }()
		back <- run(ctx, inner, fn)
	}()
	select {
	case o := <-back:
		return o.value, o.err
	case <-ctx.Done():
	}
	select {
	case o := <-back: // the answer and the deadline came together
		return o.value, o.err
	default:
		return none, fmt.Errorf("no answer in time: %w", ctx.Err())
	}
}

func run[T any](ctx context.Context, inner store.Store, fn func(context.Context, store.Store) (T, error)) (o outcome[T]) {
	defer recoverAs(&o.err)
	o.value, o.err = fn(ctx, inner)
	return o
}

// verdictOf judges the store by one call. ctx is the caller's: a caller that went away, or
// gave the store less time than CallTimeout, says nothing about the store.
func verdictOf(ctx context.Context, err error) verdict {
	switch {
	case err == nil || definite(err) || errors.Is(err, store.ErrRefused):
		return answered
	case ctx.Err() != nil || errors.Is(err, ErrClosed):
		return noVerdict
	default:
		return failed
	}
}
