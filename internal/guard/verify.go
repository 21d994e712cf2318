// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// Verifier asks the provider again about sign-ins that are being used: those whose access
// tokens come with requests, and those that have streams open.
type Verifier interface {
	// Verify judges what an access token stands for before a request relies on it. It may ask
	// the provider for that, and may go on to ask it afterwards. What it returns is the Access
	// to go by, with Until set; the outcomes are those of Lookup.Access.
	Verify(ctx context.Context, t *Target, a *Access, token string) (*Access, error)
	// Key opens the data key of a grant with one of its access tokens and the Holder of its
	// Access. Of two keys of one grant the one with the greater gen is newer.
	Key(token, holder string) (key seal.Key, gen uint32, err error)
	// Alive is Lookup.Alive for a grant with open streams. With the data key it can ask the
	// provider without a request; the zero Key opens nothing. A definite no says that the
	// streams are to be ended.
	Alive(ctx context.Context, grant [16]byte, key seal.Key) error
}

// verify has an access judged where somebody asks the provider between two refreshes.
func (g *Guard) verify(ctx context.Context, t *Target, a *Access, token string) (*Access, error) {
	if g.config.Verifier == nil || a == nil {
		return a, nil
	}
	return g.config.Verifier.Verify(ctx, t, a, token)
}

// alive tells whether a grant with open streams still stands.
func (g *Guard) alive(ctx context.Context, c checkable) error {
	if g.config.Verifier == nil {
		return g.config.Grants.Alive(ctx, c.grant)
	}
	return g.config.Verifier.Alive(ctx, c.grant, c.key)
}

// enter registers the answer as a stream, with the data key of its grant where the
// provider is asked by it: a session that only listens is asked about, too.
func (p *Pass) enter(limit int) bool {
	s := &p.guard.streams
	if !s.enter(&p.stream, p.entry.record, p.entry.grant, limit) {
		return false
	}
	holder := p.entry.get(textHolder)
	if holder == "" || p.guard.config.Verifier == nil {
		return true
	}
	// One that does not open is one that a refresh replaced; the newer token brings another.
	if key, gen, err := p.guard.config.Verifier.Key(p.token, holder); err == nil {
		s.keep(p.entry.record, key, gen)
	}
	return true
}

// keep gives the streams of a grant its data key, unless they have a newer one.
func (s *Streams) keep(record [32]byte, key seal.Key, gen uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[record]; o != nil && (o.key.IsZero() || gen >= o.gen) {
		o.key, o.gen = key, gen
	}
}
