// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// rotate replaces the current pair by a new one in one compare-and-swap. ErrConflict
// means that somebody else was faster; the caller then reads again and usually becomes
// the predecessor within its grace.
func (s *Service) rotate(ctx context.Context, terms Terms, rec *vault.Record[grantRecord], t tokens.Token, scopes oauth.Scopes) (*Issued, error) {
	g := &rec.Value
	token, mode, err := s.askProvider(ctx, terms, g, t)
	if ended := endedBy(err); ended != nil {
		return nil, s.endRecord(ctx, rec, ended.Reason, ended.Reference)
	}
	if err != nil {
		return nil, err
	}
	old := t.Hash()
	out, err := s.addTokens(ctx, terms, t.ID, g, scopes, true)
	if err != nil {
		return nil, err
	}
	if g.Provider, err = s.sealFor(*out.Refresh, g.Client, g.Resource, t.ID, token); err != nil {
		return nil, err
	}
	g.Predecessor, g.Rotated = old[:], s.Now().Unix()
	if g.Successor, err = s.sealSuccessor(t, g.Generation, out); err != nil {
		return nil, err
	}
	rec.Expires = out.GrantExpires
	err = vault.Update(ctx, s.Vault, grantKind, rec)
	if errors.Is(err, store.ErrNotFound) {
		return nil, refuse("grant expired")
	}
	if err != nil {
		return nil, err
	}
	s.Events.Emit(ctx, event.Event{
		Kind: event.Refreshed, Mode: mode, Client: g.Client, Person: g.Person.Subject, Grant: t.ID.String(), Resource: g.Resource,
		Token: event.TokenHash(out.Access.Hash()),
	})
	return out, nil
}

// addTokens mints the next generation into g. The refresh token keeps the scope of the
// grant; only the access token is narrowed (RFC 6749 §6).
func (s *Service) addTokens(ctx context.Context, terms Terms, id tokens.ID, g *grantRecord, scopes oauth.Scopes, refreshable bool) (*Issued, error) {
	now, life := s.Now(), terms.Policy.Lifetimes
	g.Generation++
	access, err := s.mint(ctx, tokens.Access, id, g.Generation)
	if err != nil {
		return nil, err
	}
	absolute := time.Unix(g.Absolute, 0)
	out := &Issued{
		Access: access, Expires: earlier(now.Add(life.Access), absolute), Scopes: scopes,
		Grant: id, Person: g.Person.Subject, Resource: g.Resource,
	}
	out.GrantExpires = out.Expires
	if refreshable {
		refresh, err := s.mint(ctx, tokens.Refresh, id, g.Generation)
		if err != nil {
			return nil, err
		}
		hash := refresh.Hash()
		out.Refresh, g.Current = &refresh, hash[:]
		out.GrantExpires = earlier(now.Add(max(life.RefreshIdle, life.Access)), absolute)
	}
	hash := access.Hash()
	g.Access = append(g.Access, accessEntry{Hash: hash[:], Scope: scopes.String(), Expires: out.Expires.Unix(), Issued: now.Unix()})
	g.alive(now)
	return out, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// successor is the answer to a rotation, kept sealed under the token that was rotated
// away for as long as that token may ask again.
type successor struct {
	Refresh string `json:"r"`
	Access  string `json:"a"`
	Expires int64  `json:"e"`
	Scope   string `json:"s"`
}

func (s *Service) sealSuccessor(prev tokens.Token, gen uint32, out *Issued) ([]byte, error) {
	plain, err := json.Marshal(successor{
		Refresh: out.Refresh.Text().Reveal(), Access: out.Access.Text().Reveal(),
		Expires: out.Expires.Unix(), Scope: out.Scopes.String(),
	})
	if err != nil {
		return nil, err
	}
	return prev.SealSuccessor(s.Rand, s.Site, gen, plain)
}

// sameAgain returns the pair that replaced t. Nothing is written and nothing forks.
func (s *Service) sameAgain(ctx context.Context, rec *vault.Record[grantRecord], t tokens.Token) (*Issued, error) {
	g := &rec.Value
	plain, err := t.OpenSuccessor(s.Site, g.Generation, g.Successor)
	if err != nil {
		return nil, err
	}
	var next successor
	if err := json.Unmarshal(plain, &next); err != nil {
		return nil, err
	}
	access, ok := tokens.Parse(tokens.Access, next.Access)
	refresh, ok2 := tokens.Parse(tokens.Refresh, next.Refresh)
	if !ok || !ok2 {
		return nil, fmt.Errorf("sealed successor holds malformed tokens")
	}
	s.Events.Emit(ctx, event.Event{
		Kind: event.Refreshed, Mode: "graced", Client: g.Client, Person: g.Person.Subject, Grant: t.ID.String(), Resource: g.Resource,
		Token: event.TokenHash(access.Hash()),
	})
	return &Issued{
		Access: access, Refresh: &refresh, Expires: time.Unix(next.Expires, 0), Scopes: oauth.ParseScopes(next.Scope),
		GrantExpires: rec.Expires, Grant: t.ID, Person: g.Person.Subject, Resource: g.Resource,
	}, nil
}
