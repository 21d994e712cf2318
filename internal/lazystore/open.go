// SPDX-License-Identifier: Apache-2.0

package lazystore

import (
	"context"
	"fmt"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// opening is an attempt to open the store that several callers may wait for.
type opening struct {
	done   chan struct{}
	opener store.Opener
	inner  store.Store
	err    error
}

// Ready opens the store unless it is open, and waits for that until ctx ends. It does
// not heed the breaker. The error says what an administrator has to do.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.Backend(ctx)
	return err
}

// Backend is Ready, and returns the opened store, so that a caller can find out which
// optional interfaces it implements. Calls to it bypass everything this package does,
// and the caller must not close it.
func (s *Store) Backend(ctx context.Context) (store.Store, error) {
	inner, attempt, err := s.join()
	if inner != nil || err != nil {
		return inner, err
	}
	select {
	case <-attempt.done:
		return attempt.inner, attempt.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the store to open: %w", ctx.Err())
	}
}

// join returns the open store, or the attempt to open it, which it starts if there is
// none. An attempt belongs to all who wait for it, so none of them can cancel it.
func (s *Store) join() (store.Store, *opening, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, ErrClosed
	case s.inner != nil:
		return s.inner, nil, nil
	case s.opening == nil:
		s.opening = &opening{done: make(chan struct{}), opener: s.opener}
		go s.open(s.opening)
	}
	return nil, s.opening, nil
}

// open makes one attempt. Whoever asks after a failed one starts another.
func (s *Store) open(attempt *opening) {
	attempt.inner, attempt.err = s.tryOpen(attempt.opener)
	s.mu.Lock()
	s.opening = nil
	orphaned := s.closed && attempt.err == nil
	if attempt.err == nil && !orphaned {
		s.inner, s.openedBy = attempt.inner, attempt.opener
	}
	s.mu.Unlock()
	if orphaned {
		attempt.err = ErrClosed
		s.discard(attempt.inner)
		attempt.inner = nil
	}
	close(attempt.done)
}

func (s *Store) tryOpen(opener store.Opener) (inner store.Store, err error) {
	defer recoverAs(&err)
	return opener.Open(context.Background(), s.env)
}

// reopen has the next call open the store anew, where it was opened by an older
// configuration and loses nothing by that. It is for a store that fails: what was right
// when it was opened, a password for instance, may have been changed on both sides since.
func (s *Store) reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.opener.(store.Reopener); !ok || s.inner == nil || s.openedBy == s.opener {
		return
	}
	// Calls that are under way may keep it from closing for as long as they take.
	go s.discard(s.inner)
	s.inner = nil
}

func (s *Store) discard(inner store.Store) {
	if err := inner.Close(); err != nil && s.env.Log != nil {
		s.env.Log.Warn("closing store", "store", s.identity, "error", err)
	}
}

// Close implements store.Store. A store that is being opened is closed when it is open.
func (s *Store) Close() error {
	s.mu.Lock()
	inner := s.inner
	s.inner, s.closed = nil, true
	s.mu.Unlock()
	s.breaker.stop()
	if inner == nil {
		return nil
	}
	return inner.Close()
}

// recoverAs turns a panic into an unknown error. Calls run in goroutines of their own,
// where a panic would end the whole server instead of one request.
func recoverAs(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}
