// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Fault is what an error of a driver means to the store.
type Fault struct {
	// Passing tells whether the same statement may succeed in a moment: a deadlock, a
	// serialization failure, a lost connection. Every statement of the store may be sent
	// again, since writes are known by their version.
	Passing bool
	// Lost tells whether the connection is gone, and with it perhaps others of the pool.
	Lost bool
	// Refused tells that the database takes no writes at present, and that reads go on.
	Refused bool
	// Remedy is what an administrator can do, a clause that follows the error; "" where
	// there is nothing to say.
	Remedy string
}

var errClosed = errors.New("the store is closed")

// The pause before a statement is sent again: up to twice as long each time. Longer
// faults are left to whoever called.
const (
	tries      = 4
	firstPause = 5 * time.Millisecond
)

// callLimit bounds a call whose context has no deadline.
const callLimit = 10 * time.Second

// try runs fn until it succeeds, a fault does not pass or time is up. fn must not use the
// caller's context: one that ends in the middle would cost the connection, and whoever
// left does not wait for the answer anyway.
func (s *Store) try(caller context.Context, fn func(context.Context) error) error {
	if s.closed.Load() {
		return errClosed
	}
	if err := caller.Err(); err != nil {
		return err
	}
	deadline, ok := caller.Deadline()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(caller), callLimit)
	if ok {
		cancel()
		ctx, cancel = context.WithDeadline(context.WithoutCancel(caller), deadline)
	}
	defer cancel()
	pause := firstPause
	for n := 1; ; n++ {
		err := fn(ctx)
		if err == nil || definite(err) {
			return err
		}
		fault := s.config.Classify(err)
		if fault.Lost {
			s.dropIdle()
		}
		if !fault.Passing || n == tries || !sleep(ctx, s.jitter(pause)) {
			return Explain(err, fault)
		}
		pause *= 2
	}
}

// dropIdle closes the idle connections: where one turned out to be dead, so are the
// others, and each would cost a try.
func (s *Store) dropIdle() {
	s.config.Read.SetMaxIdleConns(0)
	s.config.Read.SetMaxIdleConns(s.config.Read.Stats().MaxOpenConnections)
}

// Explain says what can be done about an error, and wraps store.ErrRefused where only
// writes are refused.
func Explain(err error, f Fault) error {
	if f.Refused {
		err = fmt.Errorf("%w: %w", store.ErrRefused, err)
	}
	if f.Remedy == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, f.Remedy)
}

func definite(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) ||
		errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLarge)
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

// jitter returns between d and twice that.
func (s *Store) jitter(d time.Duration) time.Duration {
	var b [2]byte
	if _, err := io.ReadFull(s.env.Rand, b[:]); err != nil {
		return d
	}
	return d + d*time.Duration(binary.BigEndian.Uint16(b[:]))/(1<<16)
}
