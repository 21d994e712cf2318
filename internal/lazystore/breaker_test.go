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
)

func get(t *testing.T, s *lazystore.Store) error {
	t.Helper()
	_, err := s.Get(t.Context(), record(1).Key)
	return err
}

// trip makes the breaker open.
func trip(t *testing.T, s *lazystore.Store, f *faulty) {
	t.Helper()
	wantNil(t, s.Create(t.Context(), record(1)))
	f.set(before)
	for range 5 {
		wantUnknown(t, get(t, s), errBroken)
	}
	wantUnknown(t, get(t, s), lazystore.ErrUnavailable)
	if n := f.count(); n != 5 {
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
		f.set(fine)
		start := clock.System()
		wantUnknown(t, s.Create(t.Context(), record(1)), lazystore.ErrUnavailable)
		if took := clock.System().Sub(start); took != 0 {
			t.Errorf("a new write waited %v for an open breaker", took)
		}
		pass(999 * time.Millisecond)
		wantUnknown(t, get(t, s), lazystore.ErrUnavailable)
		if n := f.count(); n != 0 {
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
		f.set(fine, hang)
		probe := make(chan error)
		go func() { probe <- get(t, s) }()
		synctest.Wait()
		for range 10 {
			wantUnknown(t, get(t, s), lazystore.ErrUnavailable)
		}
		wantUnknown(t, <-probe, context.DeadlineExceeded)
		if n := f.count(); n != 1 {
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
			f.set(fine, before, before, before, before)
			for range 4 {
				wantUnknown(t, get(t, s), errBroken)
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
		f.set(hang)
		for range 20 {
			leave()
		}
		if n := f.count(); n != 20 {
			t.Errorf("the store was called %d times, want 20", n)
		}
		f.set(fine)
		trip(t, s, f)
		pass(time.Second)
		f.set(fine, hang)
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
		f.set(before, hang)
		late := make(chan error)
		go func() { late <- get(t, s) }()
		synctest.Wait()
		for range 5 {
			wantUnknown(t, get(t, s), errBroken)
		}
		pass(time.Second)
		f.set(fine, hang)
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
		f.set(wrong)
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
	for name, fate := range map[string]fault{"heeds the context": hang, "ignores the context": deaf} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, f := setUp(t, lazystore.Options{})
				f.set(fate)
				start := clock.System()
				wantUnknown(t, get(t, s), context.DeadlineExceeded)
				if took := clock.System().Sub(start); took != time.Second {
					t.Errorf("the call took %v, want 1 s", took)
				}
				close(f.released)
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
		f.set(deaf)
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
		if f.most != 256 || busy != 1000-256 {
			t.Errorf("%d calls were in the store and %d found it busy, want 256 and 744", f.most, busy)
		}
		f.set(fine)
		close(f.released)
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
		f := &faulty{inner: memory.New(memory.Options{}, env())}
		s := lazystore.New(&opener{faulty: f}, e, lazystore.Options{})
		trip(t, s, f)
		for range 90 {
			pass(time.Second)
			_ = get(t, s)
		}
		f.set(fine)
		pass(time.Second)
		wantNil(t, get(t, s))
		down := strings.Count(log.String(), "store does not answer")
		up := strings.Count(log.String(), "store answers again")
		if down != 2 || up != 1 {
			t.Errorf("%d warnings and %d all-clears in 90 s, want 2 and 1:\n%s", down, up, log.String())
		}
		if !strings.Contains(log.String(), errBroken.Error()) {
			t.Error("the log does not say why")
		}
	})
}
