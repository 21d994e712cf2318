// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Refreshing is a refresh_token request of an authenticated client (RFC 6749 §6).
type Refreshing struct {
	Client string
	Token  string
	// Scope and Resource may be empty, and usually are.
	Scope    string
	Resource string
}

// attempts bounds how often a refresh starts over because somebody else changed the
// grant; each time it reads the new state and decides anew.
const attempts = 8

// Refresh rotates the refresh token. RFC 9700 §4.14.2 wants rotation for public clients;
// real clients refresh from several places at once and lose answers, so within the grace
// time the predecessor gets the very pair that replaced it, and nothing forks.
func (s *Service) Refresh(ctx context.Context, terms Terms, r Refreshing) (*Issued, error) {
	t, ok := tokens.Parse(tokens.Refresh, r.Token)
	if !ok {
		return nil, refuse("malformed refresh token")
	}
	switch ok, err := s.authentic(ctx, t); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, refuse("refresh token was not made here")
	}
	hash := t.Hash()
	// Simultaneous requests with one token share one rotation and one call to the provider.
	key := fmt.Sprintf("%x %q %q %q", hash, r.Client, r.Scope, r.Resource)
	ch := s.refreshes.DoChan(key, func() (out any, err error) {
		// This runs in a goroutine of its own, where a panic would end the whole server.
		defer recoverAs(&err)
		ctx, cancel := detach(ctx)
		defer cancel()
		return s.refresh(ctx, terms, t, r)
	})
	select {
	case res := <-ch:
		if res.Err != nil {
			return nil, res.Err
		}
		return res.Val.(*Issued), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func recoverAs(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}

func (s *Service) refresh(ctx context.Context, terms Terms, t tokens.Token, r Refreshing) (*Issued, error) {
	for range attempts {
		rec, err := vault.Get(ctx, s.Vault, grantKind, t.ID.String())
		if errors.Is(err, store.ErrNotFound) {
			return nil, refuse("no such grant")
		}
		if err != nil {
			return nil, err
		}
		scopes, err := s.mayRefresh(terms, &rec.Value, t, r)
		if err != nil {
			return nil, err
		}
		out, err := s.byGeneration(ctx, terms, rec, t, scopes)
		if err == nil {
			err = s.stands(ctx, t.ID, &rec.Value)
		}
		if err == nil {
			return out, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("grant is changing too fast")
}

// mayRefresh checks everything that does not spend the token.
func (s *Service) mayRefresh(terms Terms, g *grantRecord, t tokens.Token, r Refreshing) (oauth.Scopes, error) {
	if g.Client != r.Client {
		return nil, refuse("grant belongs to another client")
	}
	if g.Ended != nil {
		return nil, g.Ended.refusal()
	}
	if s.Now().Unix() >= g.Absolute {
		return nil, refuse("grant is past its absolute life")
	}
	if s.Now().Unix() >= g.idleEnd(terms.Policy.Lifetimes.RefreshIdle) {
		return nil, refuse("grant was idle for too long")
	}
	if t.Gen > g.Generation {
		return nil, refuse("generation ahead of the store: a failover lost a rotation")
	}
	res := terms.Policy.Find(g.Resource)
	if res == nil {
		return nil, refuse("resource is no longer configured")
	}
	// RFC 8707 §2.2: the resource must be one that the grant covers; otherwise invalid_target.
	if r.Resource != "" && !res.Same(r.Resource) {
		return nil, oauth.New(oauth.InvalidTarget, "The token was issued for another resource.")
	}
	if !terms.Policy.Allow.Permits(g.Person.person()) {
		return nil, refuse("policy no longer permits this person")
	}
	return narrow(terms.Policy, res, oauth.ParseScopes(g.Scope), r.Scope)
}

// narrow applies RFC 6749 §6: the requested scope "MUST NOT include any scope not
// originally granted". Scopes that this server does not know were dropped at sign-in and
// are dropped again, because clients repeat what they first asked for.
func narrow(p *policy.Policy, res *policy.Resource, granted oauth.Scopes, requested string) (oauth.Scopes, error) {
	if requested == "" {
		return granted, nil
	}
	known := p.Closure(granted).Union(oauth.Scopes{oauth.OfflineAccess})
	asked := p.Known(res, oauth.ParseScopes(requested))
	if !known.HasAll(asked) {
		return nil, oauth.New(oauth.InvalidScope, "The requested scope exceeds what was granted.")
	}
	if len(asked.Without(oauth.OfflineAccess)) == 0 {
		return granted, nil
	}
	return asked, nil
}

// byGeneration tells the current token from its predecessor and from anything older.
func (s *Service) byGeneration(ctx context.Context, terms Terms, rec *vault.Record[grantRecord], t tokens.Token, scopes oauth.Scopes) (*Issued, error) {
	g, hash := &rec.Value, t.Hash()
	if subtle.ConstantTimeCompare(hash[:], g.Current) == 1 {
		return s.rotate(ctx, terms, rec, t, scopes)
	}
	if subtle.ConstantTimeCompare(hash[:], g.Predecessor) == 1 && s.inGrace(terms, g) {
		return s.sameAgain(ctx, rec, t)
	}
	s.Events.Emit(ctx, event.Event{
		Kind: event.RefreshRefused, Mode: "superseded", Client: g.Client, Person: g.Person.Subject, Grant: t.ID.String(), Resource: g.Resource,
		Token: event.TokenHash(hash),
	})
	return nil, refuse("refresh token was superseded")
}

func (s *Service) inGrace(terms Terms, g *grantRecord) bool {
	end := time.Unix(g.Rotated, 0).Add(terms.Policy.Lifetimes.RefreshGrace)
	return len(g.Successor) > 0 && !s.Now().After(end)
}
