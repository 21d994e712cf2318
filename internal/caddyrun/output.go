// SPDX-License-Identifier: Apache-2.0

package caddyrun

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// output collects what a process writes and wakes whoever waits for a part of it.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	ended   bool
	changed chan struct{} // closed and replaced on every change
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake()
	return o.buf.Write(p)
}

// close says that nothing more will be written.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.wake()
}

func (o *output) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// String returns what was written so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await tells whether text is written before the process ends and d has passed.
func (o *output) await(text string, d time.Duration) bool {
	deadline := time.After(d)
	for {
		o.mu.Lock()
		found, ended, changed := strings.Contains(o.buf.String(), text), o.ended, o.changed
		o.mu.Unlock()
		if found || ended {
			return found
		}
		select {
		case <-changed:
		case <-deadline:
			return false
		}
	}
}
