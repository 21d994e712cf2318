// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"sync"
	"time"
)

// linesPerSecond is how many lines of one kind a handler writes in a second, so that a
// flood of bad requests does not become a flood of lines.
const linesPerSecond = 50

// sampler lets a number of lines through in each second and counts the others. The zero
// value is ready for use.
type sampler struct {
	mu      sync.Mutex
	second  int64
	written int
	dropped int
}

// take tells whether a line may be written now, and how many were dropped since the last
// one that was.
func (s *sampler) take(now time.Time) (ok bool, dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := now.Unix(); second != s.second {
		s.second, s.written = second, 0
	}
	if s.written >= linesPerSecond {
		s.dropped++
		return false, 0
	}
	s.written++
	dropped, s.dropped = s.dropped, 0
	return true, dropped
}
