// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// ErrSignedOut says that the person, the client or the resource was revoked after the
// sign-in began. A new one works.
var ErrSignedOut = errors.New("grants: revoked since the sign-in began")

// since is the number that a sign-in which begins now has.
func (s *Service) since(ctx context.Context) (int64, error) {
	rec, err := vault.Get(ctx, s.Vault, epochKind, epochID)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return rec.Value.Number, nil
}

// over tells why a sign-in was revoked that began when since was the latest number, or ""
// where it was not. It costs one read while nothing was revoked meanwhile.
func (s *Service) over(ctx context.Context, p person, client, resource string, since int64) (reason string, err error) {
	rec, err := vault.Get(ctx, s.Vault, epochKind, epochID)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil || rec.Value.Number <= since {
		return "", err
	}
	if reason = rec.Value.means(p, client, resource, since); reason != "" {
		return reason, nil
	}
	own, err := vault.Get(ctx, s.Vault, personKind, p.Subject)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err == nil && own.Value.Epoch > since {
		reason = ReasonPerson
	}
	return reason, err
}

// stands ends a grant that was made or refreshed while a revocation that means it was under
// way. A revocation writes its number before it lists grants, and this reads the number
// after the grant was written, so that one of the two sees the other.
func (s *Service) stands(ctx context.Context, id tokens.ID, g *grantRecord) error {
	reason, err := s.over(ctx, g.Person, g.Client, g.Resource, g.Epoch)
	if err != nil || reason == "" {
		return err
	}
	if err := s.End(ctx, id, reason); err != nil {
		return err
	}
	rec, err := vault.Get(ctx, s.Vault, grantKind, id.String())
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && rec.Value.Ended == nil:
		return refuse("grant has ended: " + reason)
	case err != nil:
		return err
	}
	return rec.Value.Ended.refusal()
}

// standsNew is stands for a grant that nobody has seen. Where the outcome is unknown it
// takes the grant back, so that the same code can be exchanged again.
func (s *Service) standsNew(ctx context.Context, id tokens.ID, rec *vault.Record[grantRecord]) error {
	err := s.stands(ctx, id, &rec.Value)
	if err != nil && oauth.AsError(err) == nil {
		return errors.Join(err, vault.Delete(ctx, s.Vault, grantKind, rec))
	}
	return err
}
