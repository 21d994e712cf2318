// SPDX-License-Identifier: Apache-2.0

package guard

import "sync"

// Streams is the registry of open streams, by grant. The zero value is ready for use.
type Streams struct {
	mu     sync.Mutex
	open   map[[16]byte]map[*stream]struct{}
	closed bool
}

type stream struct{ cancel func() }

// Open registers a stream. cancel ends it, must not block and may be called more than
// once. The stream leaves the registry when done is called. After EndAll every new
// stream is ended at once.
func (s *Streams) Open(grant [16]byte, cancel func()) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		cancel()
		return func() {}
	}
	if s.open == nil {
		s.open = map[[16]byte]map[*stream]struct{}{}
	}
	if s.open[grant] == nil {
		s.open[grant] = map[*stream]struct{}{}
	}
	st := &stream{cancel: cancel}
	s.open[grant][st] = struct{}{}
	return func() { s.remove(grant, st) }
}

func (s *Streams) remove(grant [16]byte, st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open[grant], st)
	if len(s.open[grant]) == 0 {
		delete(s.open, grant)
	}
}

// Count is the number of open streams of a grant.
func (s *Streams) Count(grant [16]byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open[grant])
}

// Grants are the grants with open streams, in no order.
func (s *Streams) Grants() [][16]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([][16]byte, 0, len(s.open))
	for g := range s.open {
		out = append(out, g)
	}
	return out
}

// End ends the streams of a grant.
func (s *Streams) End(grant [16]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.open[grant] {
		st.cancel()
	}
}

// EndAll ends every stream, now and from now on: the site is gone.
func (s *Streams) EndAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, streams := range s.open {
		for st := range streams {
			st.cancel()
		}
	}
}
