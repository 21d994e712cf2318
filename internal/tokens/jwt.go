// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"crypto"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// Claims are what a backend learns about a request. Empty members from Name on are
// absent from the JWT; the others are REQUIRED by RFC 9068 §2.2 or told to every backend.
type Claims struct {
	Issuer string
	// Audience is the resource, or the audience configured for it: one value, so that a
	// JWT for one backend is no use at another (RFC 9068 §4).
	Audience string
	// Subject is stable for the person and never an e-mail address.
	Subject  string
	ClientID string
	// Scope is what was granted, with spaces in between.
	Scope string
	// ID is the jti.
	ID string
	// IssuedAt, NotBefore and Expires are written in whole seconds, rounded down.
	IssuedAt, NotBefore, Expires time.Time

	Name, PreferredUsername string
	// ObjectID and Tenant are the oid and tid of Microsoft Entra ID.
	ObjectID, Tenant string
	Roles            []string
	// Email is set only where the provider verified it.
	Email string
}

// payload is the claims set in the order in which it is written.
type payload struct {
	// The library wants accessors that it calls only when it verifies, which this package
	// never does: the interface stays nil.
	jwt.Claims `json:"-"`

	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	ClientID  string   `json:"client_id"`
	Scope     string   `json:"scope"`
	IssuedAt  int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
	Expires   int64    `json:"exp"`
	ID        string   `json:"jti"`
	Name      string   `json:"name,omitempty"`
	Username  string   `json:"preferred_username,omitempty"`
	ObjectID  string   `json:"oid,omitempty"`
	Tenant    string   `json:"tid,omitempty"`
	Roles     []string `json:"roles,omitempty"`
	Email     string   `json:"email,omitempty"`
}

// Signer signs JWTs with one key. It is safe for concurrent use.
type Signer struct {
	kid    string
	method jwt.SigningMethod
	key    crypto.Signer
	// signature is the length of a signature in base64url.
	signature int
}

// NewSigner takes the key into use, whatever its state.
func NewSigner(k seal.SigningKey) (*Signer, error) {
	key, err := parseSigningKey(k)
	if err != nil {
		return nil, err
	}
	return &Signer{kid: k.KID, method: jwt.GetSigningMethod(k.Alg), key: key, signature: signatureSize(key)}, nil
}

// KID names the key in the header of each JWT.
func (s *Signer) KID() string { return s.kid }

// Sign returns a JWT access token.
func (s *Signer) Sign(c Claims) (string, error) {
	out, err := s.unsigned(c).SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("tokens: signing with key %s: %w", s.kid, err)
	}
	return out, nil
}

func (s *Signer) unsigned(c Claims) *jwt.Token {
	t := jwt.NewWithClaims(s.method, c.payload())
	// RFC 9068 §2.1: "The 'typ' value used SHOULD be 'at+jwt'." It keeps the JWT from
	// being taken for an ID token.
	t.Header["typ"] = "at+jwt"
	t.Header["kid"] = s.kid
	return t
}

func (c Claims) payload() payload {
	return payload{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience,
		ClientID: c.ClientID, Scope: c.Scope, ID: c.ID,
		IssuedAt: c.IssuedAt.Unix(), NotBefore: c.NotBefore.Unix(), Expires: c.Expires.Unix(),
		Name: c.Name, Username: c.PreferredUsername,
		ObjectID: c.ObjectID, Tenant: c.Tenant, Roles: c.Roles, Email: c.Email,
	}
}
