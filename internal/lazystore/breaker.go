// SPDX-License-Identifier: Apache-2.0

package lazystore

import (
	"sync"
	"time"
)

// verdict is what one call says about the store.
type verdict int

const (
	noVerdict verdict = iota
	answered
	failed
)

type breakerState int

const (
	// stateClosed: every call is allowed.
	stateClosed breakerState = iota
	// stateOpen: no call is allowed until the pause is over.
	stateOpen
	// stateHalfOpen: the next call is allowed, as a probe.
	stateHalfOpen
	// stateProbing: the probe is under way.
	stateProbing
)

// breaker stops calls to a store that failed several times in a row. After a pause it
// lets one call through: its success closes the breaker, its failure starts another
// pause.
type breaker struct {
	limit int
	pause time.Duration
	// changed is told why the breaker opened, or nil when it closes.
	changed func(cause error)

	mu       sync.Mutex
	state    breakerState
	failures int
	timer    *time.Timer
}

// permit is leave to make one call. Whoever got one must report what became of it.
type permit struct{ probe bool }

// allow tells whether a call may be made.
func (b *breaker) allow() (permit, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case stateClosed:
		return permit{}, true
	case stateHalfOpen:
		b.state = stateProbing
		return permit{probe: true}, true
	default:
		return permit{}, false
	}
}

// report takes the verdict of an allowed call and, for failed, its error. Once the
// breaker is open, only the probe can keep it open: calls that began before say nothing
// new when they fail.
func (b *breaker) report(p permit, v verdict, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case v == answered:
		b.close()
	case p.probe && b.state == stateProbing && v == noVerdict:
		b.state = stateHalfOpen
	case p.probe && b.state == stateProbing:
		b.open(err)
	case b.state == stateClosed && v == failed:
		b.failures++
		if b.failures >= b.limit {
			b.open(err)
		}
	}
}

func (b *breaker) close() {
	b.failures = 0
	if b.state == stateClosed {
		return
	}
	b.state = stateClosed
	b.timer.Stop()
	b.changed(nil)
}

func (b *breaker) open(cause error) {
	b.state = stateOpen
	b.timer = time.AfterFunc(b.pause, b.halfOpen)
	b.changed(cause)
}

func (b *breaker) halfOpen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == stateOpen {
		b.state = stateHalfOpen
	}
}

// stop ends the timer.
func (b *breaker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
}
