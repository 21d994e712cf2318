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

	// real tells that inner is set, which then stays as it is.
	real  atomic.Bool
	inner context.Context

	mu    sync.Mutex
	stop  context.CancelFunc // of inner
	ended bool
}

// waited returns the cancellation context.
func (c *passContext) waited() context.Context {
	if c.real.Load() {
		return c.inner
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.real.Load() {
		c.inner, c.stop = context.WithCancel(c.parent)
		c.real.Store(true)
		if c.ended {
			c.stop()
		}
	}
	return c.inner
}

// cancel ends the context, now or as soon as it is real.
func (c *passContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.stop != nil {
		c.stop()
	}
}

// Deadline implements context.Context.
func (c *passContext) Deadline() (time.Time, bool) { return c.parent.Deadline() }

// Done implements context.Context.
func (c *passContext) Done() <-chan struct{} { return c.waited().Done() }

// Err implements context.Context.
func (c *passContext) Err() error { return c.waited().Err() }

// Value implements context.Context. Derived contexts look for its cancellation, under a key
// of this type, and need no goroutine to follow it where they find that of the real one.
// Everything else, and there is much of it, takes the short way.
func (c *passContext) Value(key any) any {
	if _, cancellation := key.(*int); cancellation && c.real.Load() {
		return c.inner.Value(key)
	}
	return c.parent.Value(key)
}
