// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Access is what a valid access token stands for.
type Access struct {
	Grant    tokens.ID
	Client   string
	Person   provider.Person
	Resource string
	Scopes   oauth.Scopes
	Expires  time.Time
}

var errInvalidToken = oauth.New(oauth.InvalidToken, "The access token is not valid.")

// Access looks an access token up. A definite no is invalid_token (RFC 6750 §3.1: "The
// access token provided is expired, revoked, malformed, or invalid for other reasons");
// any other error says nothing about the token.
func (s *Service) Access(ctx context.Context, text string) (*Access, error) {
	t, ok := tokens.Parse(tokens.Access, text)
	if !ok {
		return nil, errInvalidToken.WithCause(errors.New("malformed"))
	}
	switch ok, err := s.authentic(ctx, t); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, errInvalidToken.WithCause(errors.New("not made here"))
	}
	rec, err := vault.Get(ctx, s.Vault, grantKind, t.ID.String())
	if errors.Is(err, store.ErrNotFound) {
		return nil, errInvalidToken.WithCause(errors.New("no such grant"))
	}
	if err != nil {
		return nil, err
	}
	entry := rec.Value.find(t.Hash())
	if entry == nil || rec.Value.Ended != nil {
		return nil, errInvalidToken.WithCause(errors.New("revoked"))
	}
	expires := time.Unix(entry.Expires, 0)
	if !s.Now().Before(expires) {
		return nil, errInvalidToken.WithCause(errors.New("expired"))
	}
	return &Access{
		Grant: t.ID, Client: rec.Value.Client, Person: rec.Value.Person.person(), Resource: rec.Value.Resource,
		Scopes: oauth.ParseScopes(entry.Scope), Expires: expires,
	}, nil
}

func (g *grantRecord) find(hash [32]byte) *accessEntry {
	for i := range g.Access {
		if subtle.ConstantTimeCompare(g.Access[i].Hash, hash[:]) == 1 {
			return &g.Access[i]
		}
	}
	return nil
}
