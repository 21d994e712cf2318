// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// Streams is the registry of answers that stay open, by grant.
type Streams struct {
	now clock.Func

	// total lets a request pass without a lock while nobody can be at the limit.
	total atomic.Int64

	mu     sync.Mutex
	open   map[[32]byte]*session
	closed bool
	// wake tells whoever re-checks that a session is suspect.
	wake chan struct{}
	// alarm goes off at next, when the stream that ends first is past its time; next is zero
	// where no alarm is set.
	alarm *time.Timer
	next  time.Time
}

// session is what one grant has open on this node.
type session struct {
	record  [32]byte
	grant   [16]byte
	streams map[*stream]struct{}
	// key is the data key of the grant, where the provider can be asked by it; gen is of
	// the token that brought it.
	key seal.Key
	gen uint32
	// suspect tells that the grant has changed and is to be looked at soon.
	suspect bool
	// unknown counts the checks in a row that had no outcome.
	unknown int
}

// stream is one open answer, or a request that is going to be one.
type stream struct {
	ctx passContext
	// session is nil where the stream is not in the registry.
	session *session
	// until is when the stream ends at the latest; zero says that nobody knows yet.
	until time.Time
	cut   atomic.Bool
}

// end ends the stream.
func (st *stream) end() {
	st.cut.Store(true)
	st.ctx.cancel()
}

// full tells whether a grant has limit streams open.
func (s *Streams) full(record [32]byte, limit int) bool {
	if s.total.Load() < int64(limit) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[record]
	return o != nil && len(o.streams) >= limit
}

// enter registers a stream of a grant, unless the grant has limit streams already; a limit
// of zero is none. After EndAll every new stream is ended at once.
func (s *Streams) enter(st *stream, record [32]byte, grant [16]byte, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		st.end()
		return true
	}
	if st.session != nil {
		return true // a GET that turned out to be the stream that it was taken for
	}
	o := s.open[record]
	if o == nil {
		o = &session{record: record, grant: grant, streams: map[*stream]struct{}{}}
	} else if limit > 0 && len(o.streams) >= limit {
		return false
	}
	if s.open == nil {
		s.open = map[[32]byte]*session{}
	}
	s.open[record] = o
	o.streams[st], st.session = struct{}{}, o
	s.total.Add(1)
	return true
}

// leave takes a stream out of the registry.
func (s *Streams) leave(st *stream) {
	// The one who enters is the one who leaves. Most requests never enter, and take no lock.
	o := st.session
	if o == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.session = nil
	delete(o.streams, st)
	s.total.Add(-1)
	if len(o.streams) == 0 {
		delete(s.open, o.record)
	}
}

// Count is the number of streams of a grant that are open or about to be.
func (s *Streams) Count(record [32]byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[record]; o != nil {
		return len(o.streams)
	}
	return 0
}

// Total is the number of open streams.
func (s *Streams) Total() int { return int(s.total.Load()) }

// End ends the streams of a grant.
func (s *Streams) End(record [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[record]; o != nil {
		for st := range o.streams {
			st.end()
		}
	}
}

// EndAll ends every stream, now and from now on: the site is gone.
func (s *Streams) EndAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.alarm != nil {
		s.alarm.Stop()
	}
	for _, o := range s.open {
		for st := range o.streams {
			st.end()
		}
	}
}
