// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// backdate is how far nbf lies in the past, for backends whose clock is a little behind.
const backdate = 5 * time.Second

// minter makes the JWTs for backends.
type minter struct {
	vault *vault.Vault
	now   clock.Func
	rand  io.Reader
	log   *slog.Logger
	last  atomic.Pointer[tokens.Signer] // of the key that was active last
}

// mint implements guard.MintFunc. The JWT never outlives the access token that it stands
// for, and carries an e-mail address only where it is verified.
func (m *minter) mint(ctx context.Context, a *guard.Access, p *policy.Policy, r *policy.Resource) (string, time.Time, error) {
	signer, err := m.signer(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	id, err := tokens.NewID(m.rand)
	if err != nil {
		return "", time.Time{}, err
	}
	now := m.now()
	expires := now.Add(p.Lifetimes.BackendJWT)
	if a.Expires.Before(expires) {
		expires = a.Expires
	}
	c := tokens.Claims{
		Issuer: p.Issuer, Audience: r.Audience, Subject: a.Person.Subject, ClientID: a.Client,
		Scope: p.Closure(a.Scopes).String(), ID: id.String(),
		IssuedAt: now, NotBefore: now.Add(-backdate), Expires: expires,
		Name: a.Person.Name, PreferredUsername: a.Person.PreferredUsername,
		ObjectID: a.Person.ObjectID, Tenant: a.Person.Tenant, Roles: a.Person.Roles,
	}
	if a.Person.EmailVerified {
		c.Email = a.Person.Email
	}
	c, dropped, err := signer.Fit(c)
	if err != nil {
		return "", time.Time{}, err
	}
	if len(dropped) > 0 {
		m.log.WarnContext(ctx, "claims were left out of the JWT for the MCP server, which would be too long", "claims", dropped, "sub", c.Subject)
	}
	jwt, err := signer.Sign(c)
	return jwt, expires, err
}

// signer returns the signer of the active key; parsing a key is slower than using it.
func (m *minter) signer(ctx context.Context) (*tokens.Signer, error) {
	ring, err := m.vault.Keyring(ctx)
	if err != nil {
		return nil, err
	}
	key, ok := ring.ActiveSigning()
	if !ok {
		return nil, errors.New("keyring has no active signing key")
	}
	if s := m.last.Load(); s != nil && s.KID() == key.KID {
		return s, nil
	}
	s, err := tokens.NewSigner(key)
	if err == nil {
		m.last.Store(s)
	}
	return s, err
}

// lookup is grants.Service as the guard sees it.
type lookup struct{ grants *grants.Service }

// Authentic implements guard.Lookup.
func (l lookup) Authentic(ctx context.Context, token string) error {
	return l.grants.Authentic(ctx, token)
}

// Alive implements guard.Lookup.
func (l lookup) Alive(ctx context.Context, grant [16]byte) error { return l.grants.Alive(ctx, grant) }

// Access implements guard.Lookup.
func (l lookup) Access(ctx context.Context, token string) (*guard.Access, error) {
	a, err := l.grants.Access(ctx, token)
	if err != nil {
		return nil, err
	}
	return accessOf(a), nil
}

func accessOf(a *grants.Access) *guard.Access {
	return &guard.Access{
		Grant: a.Grant, Record: grants.RecordID(a.Grant), Client: a.Client, Person: a.Person, Resource: a.Resource, Scopes: a.Scopes, Expires: a.Expires,
		Until: a.Until, Holder: a.Holder, Source: a,
	}
}
