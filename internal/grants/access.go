// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
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
	// Issued is zero where the record does not say.
	Issued time.Time
	// Hash is that of the token.
	Hash [32]byte
	// Until is when the provider has to be asked before the token is relied upon again; zero
	// where Verify did not say.
	Until time.Time
	// Holder opens the data key of the grant together with the token; "" where nothing does.
	Holder string

	history history
}

var (
	errInvalidToken = oauth.New(oauth.InvalidToken, "The access token is not valid.")
	errMalformed    = errInvalidToken.WithCause(errors.New("malformed"))
	errForeign      = errInvalidToken.WithCause(errors.New("not made here"))
	errNoGrant      = errInvalidToken.WithCause(errors.New("no such grant"))
	errRevoked      = errInvalidToken.WithCause(errors.New("revoked"))
)

// Authentic tells whether an access token was made here, without a look at its grant: nil,
// or invalid_token; any other error is unknown.
func (s *Service) Authentic(ctx context.Context, text string) error {
	_, err := s.parseAccess(ctx, text)
	return err
}

func (s *Service) parseAccess(ctx context.Context, text string) (tokens.Token, error) {
	t, ok := tokens.Parse(tokens.Access, text)
	if !ok {
		return tokens.Token{}, errMalformed
	}
	switch ok, err := s.authentic(ctx, t); {
	case err != nil:
		return tokens.Token{}, err
	case !ok:
		return tokens.Token{}, errForeign
	}
	return t, nil
}

// Access looks an access token up. A definite no is invalid_token (RFC 6750 §3.1: "The
// access token provided is expired, revoked, malformed, or invalid for other reasons");
// any other error says nothing about the token.
func (s *Service) Access(ctx context.Context, text string) (*Access, error) {
	t, err := s.parseAccess(ctx, text)
	if err != nil {
		return nil, err
	}
	rec, err := vault.Get(ctx, s.Vault, grantKind, t.ID.String())
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoGrant
	}
	if err != nil {
		return nil, err
	}
	if rec.Value.Ended != nil {
		return nil, rec.Value.Ended.invalidToken()
	}
	entry := rec.Value.find(t.Hash())
	if entry == nil {
		return nil, errRevoked
	}
	expires := time.Unix(entry.Expires, 0)
	if !s.Now().Before(expires) {
		return nil, errInvalidToken.WithCause(errors.New("expired"))
	}
	a := &Access{
		Grant: t.ID, Client: rec.Value.Client, Person: rec.Value.Person.person(), Resource: rec.Value.Resource,
		Scopes: oauth.ParseScopes(entry.Scope), Expires: expires, Hash: t.Hash(), Holder: rec.Value.holder(entry),
	}
	if entry.Issued != 0 {
		a.Issued = time.Unix(entry.Issued, 0)
	}
	if rec.Value.Provider != nil {
		a.history = rec.Value.history()
	}
	return a, nil
}

// Alive tells whether a grant still stands: nil, or invalid_token where it has ended; any
// other error is unknown.
func (s *Service) Alive(ctx context.Context, id tokens.ID) error {
	_, err := s.living(ctx, id)
	return err
}

func (s *Service) living(ctx context.Context, id tokens.ID) (*grantRecord, error) {
	rec, err := vault.Get(ctx, s.Vault, grantKind, id.String())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errNoGrant
	case err != nil:
		return nil, err
	case rec.Value.Ended != nil:
		return nil, errRevoked
	}
	return &rec.Value, nil
}

// RecordID is the name of a grant in the store, which is what other nodes report.
func RecordID(id tokens.ID) [32]byte { return seal.KeyID(string(grantKind.Name), id.String()) }

// same tells whether a record has the hash of a token.
func same(hash [32]byte, kept []byte) bool { return subtle.ConstantTimeCompare(hash[:], kept) == 1 }

func (g *grantRecord) find(hash [32]byte) *accessEntry {
	for i := range g.Access {
		if same(hash, g.Access[i].Hash) {
			return &g.Access[i]
		}
	}
	return nil
}
