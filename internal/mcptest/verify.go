// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Claims are the claims of a JWT that mcp_oauth made.
type Claims struct {
	jwt.Claims
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	Name     string   `json:"name"`
	Username string   `json:"preferred_username"`
	Email    string   `json:"email"`
	Roles    []string `json:"roles"`
}

// identity is what people may see of the claims.
func (c *Claims) identity(h http.Header) Identity {
	return Identity{
		Subject: c.Subject, Name: c.Name, Username: c.Username, Email: c.Email,
		Roles: c.Roles, ClientID: c.ClientID, Scope: c.Scope, Audience: c.Audience,
		Issuer: c.Issuer, ID: c.ID, ExpiresIn: int64(c.Expiry.Time().Sub(c.IssuedAt.Time()).Seconds()),
		Headers: slices.Sorted(maps.Keys(h)),
	}
}

// verifier does what a careful backend does with the JWT: algorithm, key, type, issuer,
// audience, lifetime. An unknown key id fetches the key set once more.
type verifier struct {
	config ServerConfig

	mu   sync.Mutex
	keys jose.JSONWebKeySet
}

// Verify returns the claims of a valid token.
func (v *verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return nil, err
	}
	header := parsed.Headers[0]
	// RFC 9068 §4: "The resource server MUST verify that the 'typ' header value is
	// 'at+jwt' or 'application/at+jwt'".
	if typ := header.ExtraHeaders[jose.HeaderType]; typ != "at+jwt" {
		return nil, fmt.Errorf("typ is %v, not at+jwt", typ)
	}
	key, err := v.key(ctx, header.KeyID)
	if err != nil {
		return nil, err
	}
	if key.Algorithm != header.Algorithm {
		return nil, fmt.Errorf("alg is %s, but the key is for %s", header.Algorithm, key.Algorithm)
	}
	var claims Claims
	if err := parsed.Claims(key, &claims); err != nil {
		return nil, err
	}
	return &claims, v.check(&claims)
}

func (v *verifier) check(c *Claims) error {
	if c.Expiry == nil || c.IssuedAt == nil || c.Subject == "" || c.ClientID == "" || c.ID == "" {
		return errors.New("a claim that RFC 9068 §2.2 requires is missing")
	}
	return c.ValidateWithLeeway(jwt.Expected{
		Issuer:      v.config.Issuer,
		AnyAudience: jwt.Audience{v.config.Audience},
		Time:        v.config.Now(),
	}, 0)
}

// key finds the key with the id among those known, or among those published now.
func (v *verifier) key(ctx context.Context, id string) (*jose.JSONWebKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if found := v.keys.Key(id); len(found) == 1 {
		return &found[0], nil
	}
	if err := v.fetch(ctx); err != nil {
		return nil, fmt.Errorf("fetching %s: %w", v.config.JWKSURL, err)
	}
	if found := v.keys.Key(id); len(found) == 1 {
		return &found[0], nil
	}
	return nil, fmt.Errorf("no key has the id %q", id)
}

func (v *verifier) fetch(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.config.JWKSURL, nil)
	if err != nil {
		return err
	}
	resp, err := v.config.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&v.keys)
}
