// SPDX-License-Identifier: Apache-2.0

// Package gojose verifies the JWT of mcp_oauth with github.com/go-jose/go-jose/v4. Copy
// it into an MCP server that is written in Go.
package gojose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/time/rate"
)

// Claims are what the MCP server learns about a request.
type Claims struct {
	jwt.Claims
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	Name     string   `json:"name"`
	Roles    []string `json:"roles"`
}

// Verifier verifies JWTs of one issuer for one audience.
type Verifier struct {
	issuer, audience string
	client           *http.Client
	fetches          *rate.Limiter // so that invented key ids cannot make us fetch without end

	mu   sync.Mutex
	keys jose.JSONWebKeySet
}

// New returns a Verifier.
func New(issuer, audience string) *Verifier {
	return &Verifier{
		issuer: issuer, audience: audience,
		client:  &http.Client{Timeout: 10 * time.Second},
		fetches: rate.NewLimiter(rate.Every(10*time.Second), 3),
	}
}

// Verify returns the claims of a valid token: what follows "Bearer " in the header
// Authorization.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return nil, err
	}
	header := parsed.Headers[0]
	// RFC 9068 §4: "The resource server MUST verify that the 'typ' header value is
	// 'at+jwt'".
	if header.ExtraHeaders[jose.HeaderType] != "at+jwt" {
		return nil, errors.New("the token is no access token")
	}
	key, err := v.key(ctx, header.KeyID)
	if err != nil {
		return nil, err
	}
	var claims Claims
	if err := parsed.Claims(key, &claims); err != nil { // the signature
		return nil, err
	}
	// The library accepts a token that does not end.
	if claims.Expiry == nil || claims.Subject == "" || claims.ClientID == "" {
		return nil, errors.New("the token lacks exp, sub or client_id")
	}
	err = claims.Validate(jwt.Expected{Issuer: v.issuer, AnyAudience: jwt.Audience{v.audience}})
	return &claims, err
}

// key finds a key by its id among those known, or among those that are published now.
func (v *Verifier) key(ctx context.Context, id string) (*jose.JSONWebKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.keys.Key(id)) == 0 && v.fetches.Allow() {
		if err := v.fetch(ctx); err != nil {
			return nil, err
		}
	}
	if found := v.keys.Key(id); len(found) == 1 {
		return &found[0], nil
	}
	return nil, fmt.Errorf("no key has the id %q", id)
}

func (v *Verifier) fetch(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.issuer+"/jwks", nil)
	if err != nil {
		return err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	var keys jose.JSONWebKeySet
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&keys); err != nil {
		return err
	}
	v.keys = keys
	return nil
}
