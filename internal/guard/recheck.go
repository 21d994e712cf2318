// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

const (
	// patience is how many checks in a row may have no outcome before the streams of a
	// grant are ended: whoever opens the next one is then told 503 and comes back.
	patience = 3
	// recheckers bounds how many grants are looked at together.
	recheckers = 16
)

// suspect has the streams of a grant looked at soon.
func (s *Streams) suspect(record [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[record]; o != nil {
		o.suspect = true
		s.notify()
	}
}

// suspectAll has all streams looked at soon.
func (s *Streams) suspectAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.open {
		o.suspect = true
	}
	s.notify()
}

func (s *Streams) notify() {
	select {
	case s.woken() <- struct{}{}:
	default:
	}
}

// woken returns the channel of suspicions; s.mu is held.
func (s *Streams) woken() chan struct{} {
	if s.wake == nil {
		s.wake = make(chan struct{}, 1)
	}
	return s.wake
}

// Suspects delivers a value when RecheckSuspects has something to do.
func (s *Streams) Suspects() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.woken()
}

// checkable is a grant with open streams.
type checkable struct {
	record [32]byte
	grant  [16]byte
	key    seal.Key
}

// due returns the grants to look at.
func (s *Streams) due(suspects bool) []checkable {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []checkable
	for record, o := range s.open {
		if o.suspect || !suspects {
			o.suspect = false
			out = append(out, checkable{record, o.grant, o.key})
		}
	}
	return out
}

// Recheck looks at every grant that has streams open, once per grant and not per stream,
// and ends those whose grant has ended.
func (g *Guard) Recheck(ctx context.Context) { g.recheck(ctx, g.streams.due(false)) }

// RecheckSuspects is Recheck for the grants that have changed.
func (g *Guard) RecheckSuspects(ctx context.Context) { g.recheck(ctx, g.streams.due(true)) }

func (g *Guard) recheck(ctx context.Context, due []checkable) {
	var group errgroup.Group
	group.SetLimit(recheckers)
	for _, c := range due {
		group.Go(func() error {
			g.judge(ctx, c)
			return nil
		})
	}
	_ = group.Wait() // judge has no error: it decides
}

func (g *Guard) judge(ctx context.Context, c checkable) {
	err := g.alive(ctx, c)
	if ctx.Err() != nil {
		return // the site ends, and its streams with it
	}
	if oauth.AsError(err) != nil || g.streams.outcome(c.record, err != nil) >= patience {
		g.streams.End(c.record)
	}
}

// outcome counts the checks in a row that had none.
func (s *Streams) outcome(record [32]byte, unknown bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[record]
	if o == nil {
		return 0
	}
	if !unknown {
		o.unknown = 0
		return 0
	}
	o.unknown++
	return o.unknown
}
