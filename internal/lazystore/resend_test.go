// SPDX-License-Identifier: Apache-2.0

package lazystore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/lazystore"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func TestSec_N04_WriteIsSentAgain(t *testing.T) {
	t.Parallel()
	writes := map[string]func(context.Context, store.Store) error{
		"create": func(ctx context.Context, s store.Store) error { return s.Create(ctx, record(2)) },
		"update": func(ctx context.Context, s store.Store) error { return s.Update(ctx, record(2), store.Version{1}) },
		"delete": func(ctx context.Context, s store.Store) error {
			return s.Delete(ctx, record(1).Key, store.Version{1})
		},
	}
	plans := map[string][]fault{
		"error before effect":       {before},
		"error after effect":        {after},
		"both, and a hang":          {before, hang, after},
		"panic":                     {panics},
		"four, one below the limit": {after, before, after, before},
	}
	for name, write := range writes {
		for fate, plan := range plans {
			t.Run(fmt.Sprintf("%s/%s", name, fate), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s, f := setUp(t, lazystore.Options{})
					if name != "create" {
						wantNil(t, s.Create(t.Context(), record(1)))
					}
					f.set(fine, plan...)
					wantNil(t, write(t.Context(), s))
					if got, want := f.count(), len(plan)+1; got != want {
						t.Errorf("the store was called %d times, want %d", got, want)
					}
					got, err := s.Get(t.Context(), record(1).Key)
					if name == "delete" {
						if !errors.Is(err, store.ErrNotFound) {
							t.Errorf("error after Delete is %v", err)
						}
						return
					}
					wantNil(t, err)
					if got.Version != (store.Version{2}) {
						t.Errorf("version %v was stored", got.Version)
					}
				})
			})
		}
	}
}

func TestResendEndsAfterTwoSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{Failures: 1000})
		f.set(before)
		start := clock.System()
		wantUnknown(t, s.Create(t.Context(), record(1)), errBroken)
		if took := clock.System().Sub(start); took != 2*time.Second {
			t.Errorf("gave up after %v, want 2 s", took)
		}
		if n := f.count(); n < 7 || n > 20 {
			t.Errorf("the write was sent %d times", n)
		}
	})
}

// The error is what the store said, not that it was not asked once more.
func TestResendSaysWhatTheStoreSaid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{Pause: time.Hour})
		f.set(before)
		err := s.Create(t.Context(), record(1))
		wantUnknown(t, err, errBroken)
		if errors.Is(err, lazystore.ErrUnavailable) || f.count() != 5 {
			t.Errorf("after %d calls: %v", f.count(), err)
		}
	})
}

func TestResendEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		f.set(before)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := clock.System()
		wantUnknown(t, s.Create(ctx, record(1)), errBroken)
		if took := clock.System().Sub(start); took != 100*time.Millisecond {
			t.Errorf("gave up after %v, want 100 ms", took)
		}
	})
}

// A write that was sent outlives an open breaker: its outcome has to be found out.
func TestResendWaitsForTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		f.set(fine, after, before, before, before, before)
		wantNil(t, s.Create(t.Context(), record(1)))
		if n := f.count(); n != 6 {
			t.Errorf("the store was called %d times, want five failures and the probe", n)
		}
	})
}

func TestReadIsNotSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		f.set(fine, before)
		_, err := s.Get(t.Context(), record(1).Key)
		wantUnknown(t, err, errBroken)
		if n := f.count(); n != 1 {
			t.Errorf("the store was called %d times", n)
		}
	})
}

func TestDefiniteAnswersPassThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		r := record(1)
		tooLarge := record(3)
		tooLarge.Value = make([]byte, store.MaxValue+1)
		wantNil(t, s.Create(t.Context(), r))
		f.set(fine)
		for range 10 {
			absent := r.Key
			absent.ID = absent.ID[1:]
			_, notFound := s.Get(t.Context(), absent)
			for err, want := range map[error]error{
				notFound:                         store.ErrNotFound,
				s.Create(t.Context(), record(2)): store.ErrExists,
				s.Update(t.Context(), record(2), store.Version{9}): store.ErrConflict,
				s.Create(t.Context(), tooLarge):                    store.ErrTooLarge,
			} {
				if err != want {
					t.Errorf("error is %v, want %v unchanged", err, want)
				}
			}
		}
		if n := f.count(); n != 40 {
			t.Errorf("the store was called %d times, want 40", n)
		}
	})
}

// The first sending took effect, and somebody else wrote before the second: the answer
// is the conflict that the store reports.
func TestOverwrittenBetweenSendings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		wantNil(t, s.Create(t.Context(), record(1)))
		f.set(fine, after)
		done := make(chan error)
		go func() { done <- s.Update(t.Context(), record(2), store.Version{1}) }()
		synctest.Wait()
		wantNil(t, f.inner.Update(t.Context(), record(3), store.Version{2}))
		if err := <-done; !errors.Is(err, store.ErrConflict) {
			t.Errorf("error is %v, want a conflict", err)
		}
	})
}

// A call that its caller gave up must not see what the caller does to its slice.
func TestAbandonedWriteKeepsItsValue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		f.set(deaf)
		r := record(1)
		wantUnknown(t, s.Create(t.Context(), r), context.DeadlineExceeded)
		clear(r.Value)
		close(f.released)
		synctest.Wait()
		got, err := f.inner.Get(t.Context(), r.Key)
		wantNil(t, err)
		if got.Value[0] != 1 {
			t.Error("the stored value is what the caller made of its slice later")
		}
	})
}
