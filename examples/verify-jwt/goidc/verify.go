// SPDX-License-Identifier: Apache-2.0

// Package goidc verifies the JWT of mcp_oauth with github.com/coreos/go-oidc/v3. Copy it
// into an MCP server that is written in Go.
package goidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Claims are what the MCP server learns about a request.
type Claims struct {
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	Name     string   `json:"name"`
	Roles    []string `json:"roles"`
}

// Verifier verifies JWTs of one issuer for one audience. It keeps the issuer's keys and
// fetches them again when it meets one that it does not know.
type Verifier struct{ tokens *oidc.IDTokenVerifier }

// New returns a Verifier. ctx must live as long as it does.
func New(ctx context.Context, issuer, audience string) *Verifier {
	keys := oidc.NewRemoteKeySet(ctx, issuer+"/jwks")
	return &Verifier{tokens: oidc.NewVerifier(issuer, keys, &oidc.Config{
		ClientID: audience, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256},
	})}
}

// Verify returns the claims of a valid token: what follows "Bearer " in the header
// Authorization.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	verified, err := v.tokens.Verify(ctx, token) // signature, alg, iss, aud, exp, nbf
	if err != nil {
		return nil, err
	}
	// The library is made for ID tokens and leaves the type to us. RFC 9068 §4: "The
	// resource server MUST verify that the 'typ' header value is 'at+jwt'".
	if !isAccessToken(token) {
		return nil, errors.New("the token is no access token")
	}
	var claims Claims
	if err := verified.Claims(&claims); err != nil {
		return nil, err
	}
	if claims.Subject == "" || claims.ClientID == "" {
		return nil, errors.New("the token lacks sub or client_id")
	}
	return &claims, nil
}

// isAccessToken reads the header of a token whose signature is good.
func isAccessToken(token string) bool {
	encoded, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return false
	}
	var header struct {
		Type string `json:"typ"`
	}
	return json.Unmarshal(raw, &header) == nil && header.Type == "at+jwt"
}
