// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// lostResponseWindow is how long a predecessor may ask for a replacement of a successor
// that nobody has shown. With a grace time of 0 there is no such window either.
const lostResponseWindow = 24 * time.Hour

// standing is what an authentic refresh token is to its grant.
type standing int

const (
	// standsReused is the zero value: what is nothing else was shown before.
	standsReused standing = iota
	// standsCurrent is the newest token.
	standsCurrent
	// standsGraced is the predecessor within the grace time.
	standsGraced
	// standsLost is the predecessor later, while its successor was never shown: had it
	// been, it would be the predecessor itself.
	standsLost
	// standsAhead is a token of a rotation that the store does not know: a failover lost it.
	standsAhead
)

// standing tells what t is to the grant. The grace time 0 is strict: a token is good once.
func (g *grantRecord) standing(t tokens.Token, now time.Time, grace time.Duration) standing {
	hash := t.Hash()
	switch {
	case same(hash, g.Current):
		return standsCurrent
	case t.Gen > g.Generation:
		return standsAhead
	case !same(hash, g.Predecessor) || grace <= 0:
		return standsReused
	case len(g.Successor) > 0 && !now.After(time.Unix(g.Rotated, 0).Add(grace)):
		return standsGraced
	case !now.After(time.Unix(g.replaced(), 0).Add(lostResponseWindow)):
		return standsLost
	}
	return standsReused
}

// replaced is when the predecessor was replaced for the first time.
func (g *grantRecord) replaced() int64 {
	if g.Replaced != 0 {
		return g.Replaced
	}
	return g.Rotated
}

// byStanding answers a refresh that everything else allows.
func (s *Service) byStanding(ctx context.Context, rec *vault.Record[grantRecord], x *exchange) (*Issued, error) {
	switch rec.Value.standing(x.token, s.Now(), x.terms.Policy.Lifetimes.RefreshGrace) {
	case standsCurrent:
		return s.renew(ctx, rec, x, false)
	case standsGraced:
		return s.sameAgain(ctx, rec, x)
	case standsLost:
		return s.renew(ctx, rec, x, true)
	case standsAhead:
		s.Events.Emit(ctx, about(event.RefreshRefused, "ahead", rec, x.token))
		return nil, refuse("generation ahead of the store: a failover lost a rotation")
	case standsReused:
	}
	return nil, s.reused(ctx, rec, x.token)
}

// reused ends the grant: two parties hold its tokens, and which of them is the thief cannot
// be told (RFC 9700 §4.14.2: "the authorization server cannot determine which party
// submitted the invalid refresh token, but it will revoke the active refresh token"). The
// event says who showed the old token and who made the last rotation. Where the grant
// cannot be ended now, the next one who shows an old token ends it.
func (s *Service) reused(ctx context.Context, rec *vault.Record[grantRecord], t tokens.Token) error {
	e := about(event.RefreshReuse, "", rec, t)
	e.LastAddress, e.LastAgent = rec.Value.Address, rec.Value.Agent
	err := s.endRecord(ctx, rec, ReasonReuse, "")
	if oauth.AsError(err) != nil {
		s.Events.Emit(ctx, e)
		return reusedError{err}
	}
	return err
}

// reusedError is the refusal of a token that was used before.
type reusedError struct{ error }

// Unwrap returns what the client is told.
func (e reusedError) Unwrap() error { return e.error }

// about is an event about a grant and one of its tokens.
func about(kind event.Kind, mode string, rec *vault.Record[grantRecord], t tokens.Token) event.Event {
	g := &rec.Value
	return event.Event{
		Kind: kind, Mode: mode, Client: g.Client, Person: g.Person.Subject, Grant: rec.ID, Resource: g.Resource,
		Token: event.TokenHash(t.Hash()),
	}
}
