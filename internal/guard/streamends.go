// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// grain is how late a stream may end, and how often at most the registry looks for those
// that are past their time. One timer for all of them costs an idle stream nothing.
const grain = time.Second

// endBy ends a stream at until, or up to grain later.
func (s *Streams) endBy(st *stream, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.session != nil {
		st.until = until
		s.wakeAt(until)
	}
}

// wakeAt has the registry look for streams that are past their time; s.mu is held.
func (s *Streams) wakeAt(at time.Time) {
	if !s.next.IsZero() && !at.Before(s.next) {
		return
	}
	if s.alarm != nil {
		s.alarm.Stop()
	}
	s.next, s.alarm = at, time.AfterFunc(at.Sub(s.now()), s.expire)
}

// expire ends the streams that are past their time.
func (s *Streams) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var first time.Time
	for _, o := range s.open {
		for st := range o.streams {
			switch {
			case st.until.IsZero():
			case !now.Before(st.until):
				st.end()
			case first.IsZero() || st.until.Before(first):
				first = st.until
			}
		}
	}
	s.next = time.Time{}
	if first.IsZero() {
		return
	}
	if soonest := now.Add(grain); first.Before(soonest) {
		first = soonest
	}
	s.wakeAt(first)
}

// until is when an answer that begins to stay open now ends at the latest.
func (p *Pass) until() time.Time {
	limits := p.target.Policy.Streams
	end := p.guard.config.Now().Add(limits.MaxAge)
	if limits.Until == policy.UntilToken {
		return earlier(end, time.Unix(int64(p.entry.expires), 0))
	}
	return end
}
