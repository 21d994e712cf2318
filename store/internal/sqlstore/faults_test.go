// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var (
	errDeadlock = errors.New("deadlock")
	errLost     = errors.New("connection lost")
	errSyntax   = errors.New("syntax error")
)

// none is a driver that nobody dials.
type none struct{}

func (none) Connect(context.Context) (driver.Conn, error) { return nil, errLost }
func (none) Driver() driver.Driver                        { return nil }

func newStore(t *testing.T) *Store {
	t.Helper()
	db := sql.OpenDB(none{})
	t.Cleanup(func() { db.Close() })
	return &Store{
		env: store.Env{Now: clock.System, Rand: rand.Reader},
		config: Config{Read: db, Write: db, Dialect: &Dialect{Classify: func(err error) Fault {
			switch {
			case errors.Is(err, errDeadlock):
				return Fault{Passing: true}
			case errors.Is(err, errLost):
				return Fault{Passing: true, Lost: true, Remedy: "start the server"}
			}
			return Fault{}
		}}},
	}
}

// A fault that passes is tried again, a few times and not for long; any other is not.
func TestTry(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		errs  []error
		calls int
		want  error
	}{
		"works":         {[]error{nil}, 1, nil},
		"definite":      {[]error{store.ErrConflict}, 1, store.ErrConflict},
		"passes":        {[]error{errDeadlock, errLost, nil}, 3, nil},
		"becomes no":    {[]error{errDeadlock, store.ErrExists}, 2, store.ErrExists},
		"stays":         {[]error{errLost, errLost, errLost, errLost, nil}, tries, errLost},
		"does not pass": {[]error{errSyntax, nil}, 1, errSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, calls := clock.System(), 0
				err := newStore(t).try(t.Context(), func(context.Context) error {
					calls++
					return test.errs[calls-1]
				})
				if !errors.Is(err, test.want) || calls != test.calls {
					t.Errorf("%d calls and %v, want %d and %v", calls, err, test.calls, test.want)
				}
				if took := clock.System().Sub(start); took > 100*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A statement keeps its deadline and is not cut by a caller who leaves: that would cost
// the connection.
func TestTryOutlivesTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deadline := clock.System().Add(time.Second)
		ctx, leave := context.WithDeadline(t.Context(), deadline)
		err := newStore(t).try(ctx, func(ctx context.Context) error {
			leave()
			if d, ok := ctx.Deadline(); !ok || !d.Equal(deadline) {
				t.Errorf("deadline %v, want %v", d, deadline)
			}
			return ctx.Err()
		})
		if err != nil {
			t.Error(err)
		}
		if err := newStore(t).try(ctx, func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who had left already got %v", err)
		}
	})
}

func TestTryWhenClosed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.try(t.Context(), func(context.Context) error { return nil }); !errors.Is(err, errClosed) {
		t.Errorf("%v", err)
	}
}

// A record that changes all the time is unknown, not a no.
func TestSettleGivesUp(t *testing.T) {
	t.Parallel()
	calls := 0
	err := newStore(t).settle(t.Context(), func(context.Context) error { calls++; return errMoving })
	if !errors.Is(err, errMoving) || definite(err) || calls != again {
		t.Errorf("%v after %d calls", err, calls)
	}
}
