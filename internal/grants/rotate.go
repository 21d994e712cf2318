// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// renew makes a new pair in one compare-and-swap: the next generation for the current token,
// or a replacement of the present generation for its predecessor, whose answer was lost.
// store.ErrConflict means that somebody else was faster; the caller then reads again and
// usually finds itself the predecessor within its grace.
func (s *Service) renew(ctx context.Context, rec *vault.Record[grantRecord], x *exchange, lost bool) (*Issued, error) {
	if err := s.consult(ctx, rec, x); err != nil {
		return nil, err
	}
	g, now := &rec.Value, s.Now().Unix()
	dek, err := s.nextDataKey(g, x)
	if err != nil {
		return nil, err
	}
	if g.Mode = x.verdict.mode; lost {
		g.Replaced, g.Mode = g.replaced(), modeRecovered
		g.Recovered++
	} else {
		hash := x.token.Hash()
		g.Predecessor, g.Replaced = hash[:], 0
		g.Generation++
	}
	g.Rotated, g.LeaseUntil = now, 0
	g.from(ctx)
	changed := x.verdict.changes(g)
	x.verdict.apply(g)
	out, err := s.addTokens(ctx, x.terms, x.token.ID, g, x.scopes, true)
	if err != nil {
		return nil, err
	}
	if err := s.protect(g, x, dek, out); err != nil {
		return nil, err
	}
	rec.Expires = out.GrantExpires
	if err := s.write(ctx, rec, x); err != nil {
		return nil, err
	}
	if changed {
		s.Changed(x.token.ID)
	}
	s.Events.Emit(ctx, about(event.Refreshed, g.Mode, rec, out.Access))
	return out, nil
}

// consult asks the provider, as the one who may, unless it has already answered this
// exchange. On a yes the lease stays: the write that follows ends it.
func (s *Service) consult(ctx context.Context, rec *vault.Record[grantRecord], x *exchange) error {
	g := &rec.Value
	// What was taken from a state that has changed since is no answer of the provider.
	if x.verdict != nil && x.verdict.mode != modeRecent {
		return nil
	}
	if g.Provider == nil || x.terms.Policy.Verify.Never {
		x.verdict = &verdict{mode: modeUnchecked}
		return nil
	}
	dek, err := s.dataKey(g, x.token)
	if errors.Is(err, errNoWrap) {
		return refuse("predecessor can no longer ask the provider")
	}
	if err != nil {
		return err
	}
	token, err := s.openProvider(g, x.token.ID, dek)
	if err != nil {
		return err
	}
	if h, now := g.history(), s.Now(); paceOf(x.terms.Policy).recent(h, now) {
		// Somebody has asked within the interval, with whatever was used then.
		if h.busy(now) {
			return errLeased
		}
		x.verdict = &verdict{mode: modeRecent, token: token}
		return nil
	}
	if x.lease == 0 || x.lease != g.LeaseUntil {
		if x.lease, err = s.lease(ctx, rec); err != nil {
			return expired(err)
		}
	}
	x.verdict, err = s.ask(ctx, x.terms, g, x.token.ID, token)
	if ended := endedBy(err); ended != nil {
		return s.endRecord(ctx, rec, ended.Reason, ended.Reference)
	}
	return err
}

// write stores a grant that x has changed.
func (s *Service) write(ctx context.Context, rec *vault.Record[grantRecord], x *exchange) error {
	if err := vault.Update(ctx, s.Vault, grantKind, rec); err != nil {
		return expired(err)
	}
	x.lease = 0
	return nil
}

// expired makes a definite no of the news that a grant is gone.
func expired(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return refuse("grant expired")
	}
	return err
}

// addTokens mints the pair of the generation of g into it. The refresh token keeps the
// scope of the grant; only the access token is narrowed (RFC 6749 §6).
func (s *Service) addTokens(ctx context.Context, terms Terms, id tokens.ID, g *grantRecord, scopes oauth.Scopes, refreshable bool) (*Issued, error) {
	out, err := s.addAccess(ctx, terms, id, g, scopes)
	if err != nil || !refreshable {
		return out, err
	}
	refresh, err := s.mint(ctx, tokens.Refresh, id, g.Generation)
	if err != nil {
		return nil, err
	}
	hash, life := refresh.Hash(), terms.Policy.Lifetimes
	out.Refresh, g.Current = &refresh, hash[:]
	out.GrantExpires = earlier(s.Now().Add(max(life.RefreshIdle, life.Access)), time.Unix(g.Absolute, 0))
	return out, nil
}

// addAccess mints an access token into g.
func (s *Service) addAccess(ctx context.Context, terms Terms, id tokens.ID, g *grantRecord, scopes oauth.Scopes) (*Issued, error) {
	now := s.Now()
	access, err := s.mint(ctx, tokens.Access, id, g.Generation)
	if err != nil {
		return nil, err
	}
	expires := earlier(now.Add(terms.Policy.Lifetimes.Access), time.Unix(g.Absolute, 0))
	hash := access.Hash()
	g.Access = append(g.Access, accessEntry{Hash: hash[:], Scope: scopes.String(), Expires: expires.Unix(), Issued: now.Unix()})
	g.alive(now)
	return &Issued{
		Access: access, Expires: expires, Scopes: scopes, GrantExpires: expires,
		Grant: id, Person: g.Person.Subject, Resource: g.Resource,
	}, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
