// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"

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

// refreshTimeout bounds a refresh: waiting for another node, asking the provider, writing.
const refreshTimeout = leasePatience + providerTimeout + settleTimeout

// exchange is a refresh on its way.
type exchange struct {
	terms Terms
	token tokens.Token
	// scopes are those of the new access token.
	scopes oauth.Scopes
	// verdict is what the provider said; it outlives a lost compare-and-swap, since the
	// provider may accept the token that it was asked with only once.
	verdict *verdict
	// lease is the name of the lease that this refresh holds or may hold, 0 for none.
	lease int64
}

// Refresh answers a refresh token by one of five rules: the current one is rotated
// (RFC 9700 §4.14.2 wants that for public clients); its predecessor gets the very same
// answer again within the grace time; later, as long as nobody has shown the successor, it
// gets a replacement for an answer that was lost; any other token of the grant has been
// stolen or copied and ends the grant; and what is none of ours changes nothing.
func (s *Service) Refresh(ctx context.Context, terms Terms, r Refreshing) (*Issued, error) {
	out, err := s.share(ctx, terms, r)
	if err != nil {
		s.failed(ctx, r, err)
	}
	return out, err
}

// failed reports a refresh that brought nothing, unless the client has gone or the reuse of
// a token is reported already.
func (s *Service) failed(ctx context.Context, r Refreshing, err error) {
	var reused reusedError
	if ctx.Err() != nil || errors.As(err, &reused) {
		return
	}
	mode := "unavailable"
	if oauth.AsError(err) != nil {
		mode = "invalid"
	}
	s.Events.Emit(ctx, event.Event{Kind: event.RefreshFailed, Mode: mode, Client: r.Client, Cause: err})
}

// share has simultaneous requests with one token share one answer.
func (s *Service) share(ctx context.Context, terms Terms, r Refreshing) (*Issued, error) {
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
	key := fmt.Sprintf("%x %q %q %q", t.Hash(), r.Client, r.Scope, r.Resource)
	ch := s.refreshes.DoChan(key, func() (out any, err error) {
		// This runs in a goroutine of its own, where a panic would end the whole server.
		defer recoverAs(&err)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
		defer cancel()
		return s.refresh(ctx, r, &exchange{terms: terms, token: t})
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

func (s *Service) refresh(ctx context.Context, r Refreshing, x *exchange) (*Issued, error) {
	id := x.token.ID.String()
	defer func() {
		if x.lease != 0 {
			ctx, cancel := detach(ctx)
			defer cancel()
			s.release(ctx, id, x.lease)
		}
	}()
	var waiting patience
	for tries := 0; tries < attempts; {
		rec, err := vault.Get(ctx, s.Vault, grantKind, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, refuse("no such grant")
		}
		if err != nil {
			return nil, err
		}
		if x.scopes, err = s.mayRefresh(x.terms, &rec.Value, r); err != nil {
			return nil, err
		}
		out, err := s.byStanding(ctx, rec, x)
		switch {
		case err == nil:
			return out, s.stands(ctx, x.token.ID, &rec.Value)
		case errors.Is(err, errLeased):
			if !waiting.wait(ctx) {
				return nil, err
			}
		case errors.Is(err, store.ErrConflict):
			tries++
		default:
			return nil, err
		}
	}
	return nil, fmt.Errorf("grant is changing too fast")
}

// mayRefresh checks everything that does not spend the token.
func (s *Service) mayRefresh(terms Terms, g *grantRecord, r Refreshing) (oauth.Scopes, error) {
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
