// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// A successor is the answer to a refresh, kept sealed under the token that it replaced for
// as long as that token may ask again. It holds no more of the two tokens than what the
// grant does not say, and leaves life and scope of the access token to its entry there; the
// layout is
//
//	0x01 ‖ kid3 ‖ secret32 (refresh) ‖ kid3 ‖ secret32 (access)
const (
	successorVersion = 0x01
	tokenPart        = len(seal.KID{}) + tokens.SecretLength
	successorLength  = 1 + 2*tokenPart
)

// longestGrace is the highest refresh_grace that the configuration accepts.
const longestGrace = 5 * time.Minute

// freshness is how much life the access token of a graced answer has at least.
const freshness = time.Minute

func (s *Service) sealSuccessor(prev tokens.Token, gen uint32, out *Issued) ([]byte, error) {
	b := append(make([]byte, 0, successorLength), successorVersion)
	for _, t := range []tokens.Token{*out.Refresh, out.Access} {
		secret := t.Secret()
		b = append(append(b, t.KID[:]...), secret[:]...)
	}
	return prev.SealSuccessor(s.Rand, s.Site, gen, b)
}

// openSuccessor returns the answer that replaced t. Where its access token is no longer one
// of the grant, because it was revoked or others came after it, the answer has expired.
func (s *Service) openSuccessor(ctx context.Context, rec *vault.Record[grantRecord], t tokens.Token) (*Issued, error) {
	g := &rec.Value
	b, err := t.OpenSuccessor(s.Site, g.Generation, g.Successor)
	if err != nil {
		return nil, err
	}
	refresh, access, err := s.pairIn(ctx, b, t.ID, g.Generation)
	if err != nil {
		return nil, err
	}
	out := &Issued{
		Access: access, Refresh: &refresh, GrantExpires: rec.Expires,
		Grant: t.ID, Person: g.Person.Subject, Resource: g.Resource,
	}
	if entry := g.find(access.Hash()); entry != nil {
		out.Scopes, out.Expires = oauth.ParseScopes(entry.Scope), time.Unix(entry.Expires, 0)
	}
	return out, nil
}

// pairIn returns the tokens of an opened successor.
func (s *Service) pairIn(ctx context.Context, b []byte, id tokens.ID, gen uint32) (refresh, access tokens.Token, err error) {
	switch {
	case len(b) > 0 && b[0] == '{':
		return wholePair(b)
	case len(b) != successorLength || b[0] != successorVersion:
		return refresh, access, errSuccessor
	}
	if refresh, err = s.again(ctx, tokens.Refresh, id, gen, b[1:]); err != nil {
		return refresh, access, err
	}
	access, err = s.again(ctx, tokens.Access, id, gen, b[1+tokenPart:])
	return refresh, access, err
}

var errSuccessor = errors.New("sealed successor is malformed")

// wholePair reads the first layout, which had both tokens as they are: a refresh of some
// seconds before an upgrade gets its answer again after it.
func wholePair(b []byte) (refresh, access tokens.Token, err error) {
	var pair struct {
		Refresh string `json:"r"`
		Access  string `json:"a"`
	}
	if err := json.Unmarshal(b, &pair); err != nil {
		return refresh, access, errSuccessor
	}
	refresh, ok := tokens.Parse(tokens.Refresh, pair.Refresh)
	access, ok2 := tokens.Parse(tokens.Access, pair.Access)
	if !ok || !ok2 {
		return refresh, access, errSuccessor
	}
	return refresh, access, nil
}

// again makes a token once more from the part of it that begins b.
func (s *Service) again(ctx context.Context, typ tokens.Type, id tokens.ID, gen uint32, b []byte) (tokens.Token, error) {
	kid := seal.KID(b[:len(seal.KID{})])
	root, known, err := s.Vault.Root(ctx, kid)
	if err != nil {
		return tokens.Token{}, err
	}
	if !known {
		return tokens.Token{}, fmt.Errorf("successor was made under root %s, which is gone", kid)
	}
	return tokens.Mint(bytes.NewReader(b[len(kid):tokenPart]), root, s.Site, typ, id, gen)
}

// sameAgain answers the predecessor within its grace with the pair that replaced it, so
// nothing forks. Where the access token is about to expire, or has other scopes than the
// request, it gets another access token beside the same refresh token.
func (s *Service) sameAgain(ctx context.Context, rec *vault.Record[grantRecord], x *exchange) (*Issued, error) {
	out, err := s.openSuccessor(ctx, rec, x.token)
	if err != nil {
		return nil, err
	}
	if s.stale(out, &rec.Value, x) {
		if out, err = s.freshen(ctx, rec, x, out); err != nil {
			return nil, err
		}
	}
	e := about(event.Refreshed, modeGraced, rec, out.Access)
	if g := &rec.Value; g.elsewhere(ctx) {
		e.LastAddress, e.LastAgent = g.Address, g.Agent
	}
	s.Events.Emit(ctx, e)
	return out, nil
}

// stale tells whether the access token of an answer is not good enough to be given again.
func (s *Service) stale(out *Issued, g *grantRecord, x *exchange) bool {
	if !out.Scopes.HasAll(x.scopes) || !x.scopes.HasAll(out.Scopes) {
		return true
	}
	life := x.terms.Policy.Lifetimes.Access
	left := out.Expires.Sub(s.Now())
	// A token that lives less than that from the start, or as long as the grant, is as
	// fresh as it gets.
	return left < min(freshness, life/2) && out.Expires.Unix() < g.Absolute
}

// freshen replaces the access token of an answer and keeps the new one in the successor,
// so that whoever asks again gets it as well.
func (s *Service) freshen(ctx context.Context, rec *vault.Record[grantRecord], x *exchange, out *Issued) (*Issued, error) {
	g := &rec.Value
	fresh, err := s.addAccess(ctx, x.terms, x.token.ID, g, x.scopes)
	if err != nil {
		return nil, err
	}
	fresh.Refresh, fresh.GrantExpires = out.Refresh, out.GrantExpires
	if g.Successor, err = s.sealSuccessor(x.token, g.Generation, fresh); err != nil {
		return nil, err
	}
	if x.terms.byAccess() && len(g.PredecessorWrap) > 0 {
		dek, err := s.dataKey(g, x.token)
		if err != nil {
			return nil, err
		}
		if err := s.wrapForAccess(g, dek, fresh.Access); err != nil {
			return nil, err
		}
	}
	if err := vault.Update(ctx, s.Vault, grantKind, rec); err != nil {
		return nil, expired(err)
	}
	return fresh, nil
}

// forget drops what the predecessor can no longer use, whatever the grace time is.
func (g *grantRecord) forget(now time.Time) {
	if now.After(time.Unix(g.Rotated, 0).Add(longestGrace)) {
		g.Successor = nil
	}
	if now.After(time.Unix(g.replaced(), 0).Add(lostResponseWindow)) {
		g.PredecessorWrap = nil
	}
}
