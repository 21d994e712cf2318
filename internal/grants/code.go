// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// IssueCode turns a completed sign-in into an authorization code that lives for life, or
// returns ErrSignedOut.
func (s *Service) IssueCode(ctx context.Context, r Request, in *provider.Session, life time.Duration) (secret.String, error) {
	ctx, cancel := detach(ctx)
	defer cancel()
	id, err := tokens.NewID(s.Rand)
	if err != nil {
		return secret.String{}, err
	}
	grant, err := tokens.NewID(s.Rand)
	if err != nil {
		return secret.String{}, err
	}
	code, err := s.mint(ctx, tokens.Code, id, 0)
	if err != nil {
		return secret.String{}, err
	}
	reason, err := s.over(ctx, toRecord(in.Person), r.Client, r.Resource, r.Epoch)
	if err != nil {
		return secret.String{}, err
	}
	if reason != "" {
		return secret.String{}, fmt.Errorf("%w: %s", ErrSignedOut, reason)
	}
	hash := code.Hash()
	rec := codeRecord{Request: r, Hash: hash[:], Person: toRecord(in.Person), Grant: grant.String()}
	if !in.Person.AuthTime.IsZero() {
		rec.AuthTime = in.Person.AuthTime.Unix()
	}
	if rec.Provider, err = s.sealFor(code, r.Client, r.Resource, grant, in.RefreshToken); err != nil {
		return secret.String{}, err
	}
	_, err = vault.Create(ctx, s.Vault, codeKind, id.String(), rec, vault.Options{
		Expires: s.Now().Add(life), Person: in.Person.Subject, Client: r.Client,
	})
	return code.Text(), err
}

// sealFor seals the provider's token under a new data key that only holder can unwrap.
// It returns nil where the provider gave no token.
func (s *Service) sealFor(holder tokens.Token, client, resource string, grant tokens.ID, t secret.String) (*sealedToken, error) {
	if t.IsZero() {
		return nil, nil
	}
	dek, err := tokens.NewDataKey(s.Rand)
	if err != nil {
		return nil, err
	}
	var out sealedToken
	if out.Sealed, err = tokens.SealProviderToken(s.Rand, dek, s.Site, grant, t); err != nil {
		return nil, err
	}
	bound := tokens.Bound{Site: s.Site, Client: client, Resource: resource}
	out.Wrap, err = holder.WrapKey(s.Rand, bound, dek)
	return &out, err
}

// openFrom is the reverse of sealFor.
func (s *Service) openFrom(holder tokens.Token, client, resource string, grant tokens.ID, t *sealedToken) (secret.String, error) {
	if t == nil {
		return secret.String{}, nil
	}
	dek, err := holder.UnwrapKey(tokens.Bound{Site: s.Site, Client: client, Resource: resource}, t.Wrap)
	if err != nil {
		return secret.String{}, err
	}
	return tokens.OpenProviderToken(dek, s.Site, grant, t.Sealed)
}
