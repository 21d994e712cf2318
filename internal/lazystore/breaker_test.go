// SPDX-License-Identifier: Apache-2.0

package lazystore_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/lazystore"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

func get(t *testing.T, s *lazystore.Store) error {
	t.Helper()
	_, err := s.Get(t.Context(), record(1).Key)
	return err
}

// trip makes the breaker open.
func trip(t *testing.T, s *lazystore.Store, f *faulty.Store) {
	t.Helper()
	wantNil(t, s.Create(t.Context(), record(1)))
	f.Set(faulty.Before)
	for range 5 {
		wantUnknown(t, get(t, s), faulty.ErrBroken)
	}
	wantUnknown(t, get(t, s), lazystore.ErrUnavailable)
	if n := f.Calls(); n != 5 {
		t.Fatalf("the store was called %d times, want 5", n)
	}
}

// pass waits for d, and until all that happens then has happened.
func pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func TestBreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		trip(t, s, f)
		f.Set(faulty.None)
		start := clock.System()
		wantUnknown(t, s.Create(t.Context(), record(1)), lazystore.ErrUnavailable)
		if took := clock.System().Sub(start); took != 0 {
			t.Errorf("a new write waited %v for an open breaker", took)
		}
		pass(999 * time.Millisecond)
		wantUnknown(t, get(t, s), lazystore.ErrUnavailable)
		if n := f.Calls(); n != 0 {
			t.Errorf("the store was called %d times while the breaker was open", n)
		}
		pass(time.Millisecond)
		wantNil(t, get(t, s))
		wantNil(t, get(t, s))
	})
}

func TestBreakerProbesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		trip(t, s, f)
		pass(time.Second)
		f.Set(faulty.None, faulty.Hang)
		probe := make(chan error)
		go func() { probe <- get(t, s) }()
		synctest.Wait()
		for range 10 {
			wantUnknown(t, get(t, s), lazystore.ErrUnavailable)
		}
		wantUnknown(t, <-probe, context.DeadlineExceeded)
		if n := f.Calls(); n != 1 {
			t.Errorf("%d calls were made by way of a probe", n)
		}
		pass(999 * time.Millisecond)
		wantUnknown(t, get(t, s), lazystore.ErrUnavailable)
		pass(time.Millisecond)
		wantNil(t, get(t, s))
	})
}

func TestBreakerSuccessStartsTheCountAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		wantNil(t, s.Create(t.Context(), record(1)))
		for range 5 {
			f.Set(faulty.None, faulty.Before, faulty.Before, faulty.Before, faulty.Before)
			for range 4 {
				wantUnknown(t, get(t, s), faulty.ErrBroken)
			}
			wantNil(t, get(t, s))
		}
	})
}

// A caller that goes away says nothing about the store, not even as the probe.
func TestBreakerIgnoresCanceledCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{})
		leave := func() {
			ctx, cancel := context.WithCancel(t.Context())
			timer := time.AfterFunc(10*time.Millisecond, cancel)
			defer timer.Stop()
			_, err := s.Get(ctx, record(1).Key)
			wantUnknown(t, err, context.Canceled)
		}
		wantNil(t, s.Create(t.Context(), record(1)))
		f.Set(faulty.Hang)
		for range 20 {
			leave()
		}
		if n := f.Calls(); n != 20 {
			t.Errorf("the store was called %d times, want 20", n)
		}
		f.Set(faulty.None)
		trip(t, s, f)
		pass(time.Second)
		f.Set(faulty.None, faulty.Hang)
		leave()
		wantNil(t, get(t, s))
	})
}

// A failure that began before the breaker opened must not prolong the pause.
func TestBreakerIgnoresLateFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{CallTimeout: 1500 * time.Millisecond})
		wantNil(t, s.Create(t.Context(), record(1)))
		f.Set(faulty.Before, faulty.Hang)
		late := make(chan error)
		go func() { late <- get(t, s) }()
		synctest.Wait()
		for range 5 {
			wantUnknown(t, get(t, s), faulty.ErrBroken)
		}
		pass(time.Second)
		f.Set(faulty.None, faulty.Hang)
		ctx, leave := context.WithCancel(t.Context())
		probe := make(chan error)
		go func() {
			_, err := s.Get(ctx, record(1).Key)
			probe <- err
		}()
		wantUnknown(t, <-late, context.DeadlineExceeded)
		leave()
		wantUnknown(t, <-probe, context.Canceled)
		wantNil(t, get(t, s))
	})
}

func TestSec_N03_WrongAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{Failures: 100})
		r := record(1)
		wantNil(t, s.Create(t.Context(), r))
		f.Set(faulty.Wrong)
		got, err := s.Get(t.Context(), r.Key)
		wantUnknown(t, err, err)
		if err == nil || got.Value != nil {
			t.Errorf("Get returned %v and %v for another record", got, err)
		}
		page, err := s.List(t.Context(), store.Query{Site: r.Site, Kind: r.Kind})
		wantUnknown(t, err, err)
		if err == nil || page.Records != nil {
			t.Errorf("List returned %v and %v for another kind", page, err)
		}
	})
}

func TestHangingStoreReturnsAtTheDeadline(t *testing.T) {
	t.Parallel()
	for name, fate := range map[string]faulty.Fault{"heeds the context": faulty.Hang, "ignores the context": faulty.Deaf} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, f := setUp(t, lazystore.Options{})
				f.Set(fate)
				start := clock.System()
				wantUnknown(t, get(t, s), context.DeadlineExceeded)
				if took := clock.System().Sub(start); took != time.Second {
					t.Errorf("the call took %v, want 1 s", took)
				}
				f.Release()
			})
		})
	}
}

// Stuck calls hold their slots; more goroutines than slots never enter the store.
func TestInFlightIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := setUp(t, lazystore.Options{Failures: 10_000})
		wantNil(t, s.Create(t.Context(), record(1)))
		f.Set(faulty.Deaf)
		errs := make([]error, 1000)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = s.Get(t.Context(), record(1).Key) })
		}
		wg.Wait()
		busy := 0
		for _, err := range errs {
			wantUnknown(t, err, context.DeadlineExceeded)
			if errors.Is(err, lazystore.ErrBusy) {
				busy++
			}
		}
		if f.MostInside() != 256 || busy != 1000-256 {
			t.Errorf("%d calls were in the store and %d found it busy, want 256 and 744", f.MostInside(), busy)
		}
		f.Set(faulty.None)
		f.Release()
		synctest.Wait()
		wantNil(t, get(t, s))
	})
}

func TestLogOncePerMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := env()
		e.Log = slog.New(slog.NewTextHandler(&log, nil))
		f := faulty.New(memory.New(memory.Options{}, env()))
		s := lazystore.New(&opener{faulty: f}, e, lazystore.Options{})
		trip(t, s, f)
		for range 90 {
			pass(time.Second)
			_ = get(t, s)
		}
		f.Set(faulty.None)
		pass(time.Second)
		wantNil(t, get(t, s))
		down := strings.Count(log.String(), "store does not answer")
		up := strings.Count(log.String(), "store answers again")
		if down != 2 || up != 1 {
			t.Errorf("%d warnings and %d all-clears in 90 s, want 2 and 1:\n%s", down, up, log.String())
		}
		if !strings.Contains(log.String(), faulty.ErrBroken.Error()) {
			t.Error("the log does not say why")
		}
	})
}
