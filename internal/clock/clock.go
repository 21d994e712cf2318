// SPDX-License-Identifier: Apache-2.0

// Package clock is where time comes from. Nothing else in the module asks the system
// for it, so every rule that depends on time can be tested without waiting.
package clock

import (
	"sync"
	"time"
)

// Func tells the time. It is what components take in their configuration.
type Func func() time.Time

// System is the clock of the machine. Times that are stored or compared across
// processes are absolute: no caller may rely on the monotonic reading.
func System() time.Time { return time.Now() }

// Fake is a clock that stands still until it is told to move. The zero value stands at
// the zero time. It is safe for concurrent use.
type Fake struct {
	mu  sync.Mutex
	now time.Time
}

// NewFake returns a clock that stands at t.
func NewFake(t time.Time) *Fake { return &Fake{now: t} }

// Now returns the time at which the clock stands.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance moves the clock by d.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}
