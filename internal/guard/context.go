// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// passContext is the context of a request that the registry of streams can end. It
// becomes a real cancellation context when somebody first waits for its end, so that a
// request which nobody waits for pays for none.
type passContext struct {
	parent context.Context

	inner atomic.Pointer[cancelable]
	mu    sync.Mutex
	ended bool
}

type cancelable struct {
	context.Context
	cancel context.CancelFunc
}

// real returns the cancellation context.
func (c *passContext) real() *cancelable {
	if r := c.inner.Load(); r != nil {
		return r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.inner.Load(); r != nil {
		return r
	}
	ctx, cancel := context.WithCancel(c.parent)
	r := &cancelable{ctx, cancel}
	if c.ended {
		cancel()
	}
	c.inner.Store(r)
	return r
}

// cancel ends the context, now or as soon as it is real.
func (c *passContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if r := c.inner.Load(); r != nil {
		r.cancel()
	}
}

// Deadline implements context.Context.
func (c *passContext) Deadline() (time.Time, bool) { return c.parent.Deadline() }

// Done implements context.Context.
func (c *passContext) Done() <-chan struct{} { return c.real().Done() }

// Err implements context.Context.
func (c *passContext) Err() error { return c.real().Err() }

// Value implements context.Context. Derived contexts look for its cancellation, under a key
// of this type, and need no goroutine to follow it where they find that of the real one.
// Everything else, and there is much of it, takes the short way.
func (c *passContext) Value(key any) any {
	if _, cancellation := key.(*int); cancellation {
		if r := c.inner.Load(); r != nil {
			return r.Value(key)
		}
	}
	return c.parent.Value(key)
}
