// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Revoked is what became of a revocation request (RFC 7009).
type Revoked string

// What can become of it. The client is told the same in every case.
const (
	RevokedGrant  Revoked = "refresh_token" // the grant and all its tokens
	RevokedAccess Revoked = "access_token"  // this token alone
	RevokedNone   Revoked = "none"          // it was over already, or is no token that can be revoked
	RevokedOther  Revoked = "other_client"  // it is another client's, and lives
	RevokedFake   Revoked = "not_ours"      // it was not made here
)

// Revoke ends a token of the client. A refresh token, also one that was replaced, takes
// its grant along: RFC 7009 §2.1, "If the particular token is a refresh token and the
// authorization server supports the revocation of access tokens, then the authorization
// server SHOULD also invalidate all access tokens based on the same authorization grant".
// An access token goes alone. The kind is read from the token, so a hint about it has
// nothing to add. An error is unknown.
func (s *Service) Revoke(ctx context.Context, client, text string) (Revoked, error) {
	t, ok := tokens.ParseAny(text, tokens.Refresh, tokens.Access)
	if !ok {
		return RevokedFake, nil
	}
	if ok, err := s.authentic(ctx, t); err != nil || !ok {
		return RevokedFake, err
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	for range attempts {
		out, err := s.revoke(ctx, client, t)
		if !errors.Is(err, store.ErrConflict) {
			return out, err
		}
	}
	return RevokedNone, fmt.Errorf("grant is changing too fast to revoke its token")
}

func (s *Service) revoke(ctx context.Context, client string, t tokens.Token) (Revoked, error) {
	rec, err := vault.Get(ctx, s.Vault, grantKind, t.ID.String())
	if errors.Is(err, store.ErrNotFound) {
		return RevokedNone, nil
	}
	if err != nil {
		return RevokedNone, err
	}
	g := &rec.Value
	switch {
	case g.Client != client:
		// Whoever holds the token can provoke this without end.
		s.noteRevoked(ctx, event.RevocationRefused, RevokedOther, client, t, g)
		return RevokedOther, nil
	case g.Ended != nil:
		return RevokedNone, nil
	case t.Type == tokens.Refresh:
		if err := s.kill(ctx, rec, ReasonByClient, ""); err != nil {
			return RevokedNone, err
		}
		s.noteRevoked(ctx, event.TokenRevoked, RevokedGrant, client, t, g)
		return RevokedGrant, nil
	}
	hash, before := t.Hash(), len(g.Access)
	g.Access = slices.DeleteFunc(g.Access, func(a accessEntry) bool { return same(hash, a.Hash) })
	if len(g.Access) == before {
		return RevokedNone, nil
	}
	if err := vault.Update(ctx, s.Vault, grantKind, rec); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return RevokedNone, nil
		}
		return RevokedNone, err
	}
	s.Changed(t.ID)
	s.noteRevoked(ctx, event.TokenRevoked, RevokedAccess, client, t, g)
	return RevokedAccess, nil
}

func (s *Service) noteRevoked(ctx context.Context, kind event.Kind, what Revoked, client string, t tokens.Token, g *grantRecord) {
	s.Events.Emit(ctx, event.Event{
		Kind: kind, Mode: string(what), Client: client, Person: g.Person.Subject, Grant: t.ID.String(),
		Resource: g.Resource, Token: event.TokenHash(t.Hash()),
	})
}
