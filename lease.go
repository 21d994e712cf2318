// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import "sync/atomic"

// lease counts the requests that use a site. A reload cleans handlers up while their
// requests still run, so the site is taken down by whoever is last.
type lease struct {
	// state is twice the number of requests, plus one once the lease is closed.
	state atomic.Int64
	// release is called once, when the lease is closed and nobody uses it.
	release func()
}

// acquire tells whether the site may be used; done must follow if so.
func (l *lease) acquire() bool {
	for {
		n := l.state.Load()
		if n&1 == 1 {
			return false
		}
		if l.state.CompareAndSwap(n, n+2) {
			return true
		}
	}
}

// closed tells whether close was called. It waits for nobody.
func (l *lease) closed() bool { return l.state.Load()&1 == 1 }

// done ends one use. A request does not wait for the end of a site that it happened to
// use last.
func (l *lease) done() {
	if l.state.Add(-2) == 1 {
		go l.release()
	}
}

// close refuses further uses. It does not wait for those that there are; without any it
// returns when the release has.
func (l *lease) close() {
	if l.state.Or(1) == 0 {
		l.release()
	}
}
