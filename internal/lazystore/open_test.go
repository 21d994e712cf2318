// SPDX-License-Identifier: Apache-2.0

package lazystore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/lazystore"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// A lazy store keeps the contract of the store behind it, also on a slow machine.
func TestContract(t *testing.T) {
	t.Parallel()
	o := lazystore.Options{ResendFor: time.Minute, CallTimeout: time.Minute}
	storetest.Run(t, func(_ *testing.T, e store.Env) store.Store {
		return lazystore.New(new(memory.Module), e, o)
	})
}

func newOpener() *opener {
	return &opener{faulty: faulty.New(memory.New(memory.Options{}, env()))}
}

func TestOpensOnceWhenNeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOpener()
		o.gate = make(chan struct{})
		s := lazystore.New(o, env(), lazystore.Options{})
		synctest.Wait()
		if o.opens != 0 {
			t.Fatal("New opened the store")
		}
		errs := make([]error, 64)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				if i%2 == 0 {
					errs[i] = s.Ready(t.Context())
				} else {
					errs[i] = s.Create(t.Context(), record(1))
				}
			})
		}
		synctest.Wait()
		close(o.gate)
		wg.Wait()
		for _, err := range errs {
			wantNil(t, err)
		}
		if o.opens != 1 {
			t.Errorf("opened %d times", o.opens)
		}
	})
}

func TestOpenIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOpener()
		o.plan = []error{faulty.ErrBroken, faulty.ErrBroken}
		s := lazystore.New(o, env(), lazystore.Options{})
		wantUnknown(t, s.Ready(t.Context()), faulty.ErrBroken)
		_, err := s.Get(t.Context(), record(1).Key)
		wantUnknown(t, err, faulty.ErrBroken)
		wantNil(t, s.Ready(t.Context()))
		if backend, err := s.Backend(t.Context()); backend != store.Store(o.faulty) || err != nil {
			t.Errorf("Backend returned %v, %v", backend, err)
		}
		if o.opens != 3 {
			t.Errorf("opened %d times, want 3", o.opens)
		}
	})
}

// A write waits for the store as it waits for an answer.
func TestWriteOutlivesAFailedOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOpener()
		o.plan = []error{faulty.ErrBroken, faulty.ErrBroken, faulty.ErrBroken}
		s := lazystore.New(o, env(), lazystore.Options{})
		wantNil(t, s.Create(t.Context(), record(1)))
	})
}

// Whoever stops waiting does not stop the opening.
func TestOpenBelongsToNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOpener()
		o.gate = make(chan struct{})
		s := lazystore.New(o, env(), lazystore.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantUnknown(t, s.Ready(ctx), context.DeadlineExceeded)
		close(o.gate)
		wantNil(t, s.Ready(t.Context()))
		if o.opens != 1 {
			t.Errorf("opened %d times", o.opens)
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, *lazystore.Store, *opener){
		"before it was opened": func(*testing.T, *lazystore.Store, *opener) {},
		"open": func(t *testing.T, s *lazystore.Store, o *opener) {
			close(o.gate)
			wantNil(t, s.Ready(t.Context()))
		},
		"while it is opened": func(_ *testing.T, s *lazystore.Store, o *opener) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = s.Ready(ctx)
			time.AfterFunc(time.Minute, func() { close(o.gate) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOpener()
				o.gate = make(chan struct{})
				s := lazystore.New(o, env(), lazystore.Options{})
				prepare(t, s, o)
				wantNil(t, s.Close())
				wantNil(t, s.Close())
				pass(time.Hour)
				if o.opens == 1 && !o.faulty.Closed() {
					t.Error("the store behind is still open")
				}
				wantUnknown(t, s.Ready(t.Context()), lazystore.ErrClosed)
				wantUnknown(t, s.Create(t.Context(), record(1)), lazystore.ErrClosed)
				_, err := s.Get(t.Context(), record(1).Key)
				wantUnknown(t, err, lazystore.ErrClosed)
			})
		})
	}
}

type panickingOpener struct{ *opener }

func (panickingOpener) Open(context.Context, store.Env) (store.Store, error) {
	panic("bug in the driver")
}

// A panic in a goroutine of ours would end the server.
func TestSec_J21_PanicIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := lazystore.New(panickingOpener{newOpener()}, env(), lazystore.Options{})
		if err := s.Ready(t.Context()); err == nil {
			t.Error("Ready says that a panic is a store")
		}
		s, f := setUp(t, lazystore.Options{})
		f.Set(faulty.Panic)
		_, err := s.Get(t.Context(), record(1).Key)
		wantUnknown(t, err, err)
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
	})
}

// A password that was corrected counts at the next attempt, without a restart.
func TestOpenByTheLatestConfiguration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wrong, right := newOpener(), newOpener()
		wrong.plan = []error{faulty.ErrBroken, faulty.ErrBroken}
		s := lazystore.New(wrong, env(), lazystore.Options{})
		wantUnknown(t, s.Ready(t.Context()), faulty.ErrBroken)
		s.OpenBy(right)
		wantNil(t, s.Ready(t.Context()))
		s.OpenBy(wrong)
		wantNil(t, s.Ready(t.Context()))
		if wrong.opens != 1 || right.opens != 1 {
			t.Errorf("opened %d and %d times", wrong.opens, right.opens)
		}
	})
}

// remote is an opener of a store whose records are elsewhere.
type remote struct{ *opener }

func (remote) Reopens() {}

// A password that was changed on the server and in the configuration counts when the open
// store begins to fail. A store that holds its records itself stays what it is.
func TestFailingStoreIsOpenedByTheLatestConfiguration(t *testing.T) {
	t.Parallel()
	for _, elsewhere := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			before, after := newOpener(), newOpener()
			var first, second store.Opener = before, after
			if elsewhere {
				first, second = remote{before}, remote{after}
			}
			s := lazystore.New(first, env(), lazystore.Options{})
			wantNil(t, s.Create(t.Context(), record(1)))
			wantNil(t, after.faulty.Create(t.Context(), record(1)))
			s.OpenBy(second)
			wantNil(t, get(t, s))
			if after.opens != 0 {
				t.Fatal("a store that answers was opened again")
			}
			trip(t, s, before.faulty)
			before.faulty.SetError(faulty.ErrBroken)
			pass(time.Second)
			if err := get(t, s); (err == nil) != elsewhere || (after.opens == 1) != elsewhere {
				t.Errorf("records elsewhere %t: %v, opened %d times", elsewhere, err, after.opens)
			}
			wantNil(t, s.Close())
		})
	}
}
