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
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
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
	plans := map[string][]faulty.Fault{
		"error before effect":       {faulty.Before},
		"error after effect":        {faulty.After},
		"both, and a hang":          {faulty.Before, faulty.Hang, faulty.After},
		"panic":                     {faulty.Panic},
		"four, one below the limit": {faulty.After, faulty.Before, faulty.After, faulty.Before},
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
					f.Set(faulty.None, plan...)
					wantNil(t, write(t.Context(), s))
					if got, want := f.Calls(), len(plan)+1; got != want {
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
		f.Set(faulty.Before)
		start := clock.System()
		wantUnknown(t, s.Create(t.Context(), record(1)), faulty.ErrBroken)
		if took := clock.System().Sub(start); took != 2*time.Second {
			t.Errorf("gave up after %v, want 2 s", took)
		}
		if n := f.Calls(); n < 7 || n > 20 {
			t.Errorf("the write was sent %d times", n)
		}
	})
}

// The error is what the store said, not that it was not asked once more.
func TestResendSaysWhatTheStoreSaid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{Pause: time.Hour})
		f.Set(faulty.Before)
		err := s.Create(t.Context(), record(1))
		wantUnknown(t, err, faulty.ErrBroken)
		if errors.Is(err, lazystore.ErrUnavailable) || f.Calls() != 5 {
			t.Errorf("after %d calls: %v", f.Calls(), err)
		}
	})
}

func TestResendEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		f.Set(faulty.Before)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := clock.System()
		wantUnknown(t, s.Create(ctx, record(1)), faulty.ErrBroken)
		if took := clock.System().Sub(start); took != 100*time.Millisecond {
			t.Errorf("gave up after %v, want 100 ms", took)
		}
	})
}

// A full store is neither dead nor worth asking again at once: others read from it.
func TestRefusedWritesLeaveTheStoreInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		wantNil(t, s.Create(t.Context(), record(1)))
		f.SetError(fmt.Errorf("disk full: %w", store.ErrRefused))
		f.Only(faulty.Update, "")
		f.Set(faulty.Before)
		for range 20 {
			wantUnknown(t, s.Update(t.Context(), record(2), store.Version{1}), store.ErrRefused)
			wantNil(t, get(t, s))
		}
		if n := f.Calls(); n != 40 {
			t.Errorf("the store was called %d times, want 40", n)
		}
	})
}

// A write that was sent outlives an open breaker: its outcome has to be found out.
func TestResendWaitsForTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		f.Set(faulty.None, faulty.After, faulty.Before, faulty.Before, faulty.Before, faulty.Before)
		wantNil(t, s.Create(t.Context(), record(1)))
		if n := f.Calls(); n != 6 {
			t.Errorf("the store was called %d times, want five failures and the probe", n)
		}
	})
}

func TestReadIsNotSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		f.Set(faulty.None, faulty.Before)
		_, err := s.Get(t.Context(), record(1).Key)
		wantUnknown(t, err, faulty.ErrBroken)
		if n := f.Calls(); n != 1 {
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
		f.Set(faulty.None)
		for range 10 {
			absent := r.Key
			absent.ID = "b" + absent.ID[1:]
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
		if n := f.Calls(); n != 40 {
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
		f.Set(faulty.None, faulty.After)
		done := make(chan error)
		go func() { done <- s.Update(t.Context(), record(2), store.Version{1}) }()
		synctest.Wait()
		wantNil(t, f.Inner().Update(t.Context(), record(3), store.Version{2}))
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
		f.Set(faulty.Deaf)
		r := record(1)
		wantUnknown(t, s.Create(t.Context(), r), context.DeadlineExceeded)
		clear(r.Value)
		f.Release()
		synctest.Wait()
		got, err := f.Inner().Get(t.Context(), r.Key)
		wantNil(t, err)
		if got.Value[0] != 1 {
			t.Error("the stored value is what the caller made of its slice later")
		}
	})
}
