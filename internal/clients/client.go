// SPDX-License-Identifier: Apache-2.0

// Package clients knows who asks: clients that the administrator named, and clients that
// registered themselves (RFC 7591). It registers them, finds them, authenticates them at
// the token endpoint and keeps their records alive while they are used.
package clients

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// AuthMethod is how a client authenticates at the token endpoint (RFC 7591 §2,
// token_endpoint_auth_method).
type AuthMethod string

// The methods that exist here. A confidential client may use either of the two with a
// secret, whichever it registered: they carry the same secret.
const (
	AuthNone  AuthMethod = "none"
	AuthPost  AuthMethod = "client_secret_post"
	AuthBasic AuthMethod = "client_secret_basic"
)

// Grant types that clients may have (RFC 6749 §4.1, §6).
const (
	GrantCode    = "authorization_code"
	GrantRefresh = "refresh_token"
)

// Client is one OAuth client as it stands under the current configuration.
type Client struct {
	ID string
	// Name is what the client calls itself, or the administrator calls it; at most 200
	// characters without control characters, and never proof of who it is.
	Name string
	// URI is where the client says it lives: an https URL or "".
	URI string
	// RedirectURIs are those that are acceptable now; loopback ones bear no port.
	RedirectURIs []string
	GrantTypes   []string
	// Scope is what the client registered for; it limits nothing by itself.
	Scope      string
	AuthMethod AuthMethod
	// Static tells that the administrator named the client.
	Static bool
	// Created and Expires are zero for static clients.
	Created, Expires time.Time

	secretHashes [][sha256.Size]byte
	record       *vault.Record[record]
}

// Static is a client that the administrator configured. It may use every grant type.
type Static struct {
	ID, Name string
	// Secrets are all valid at once, so that one can be replaced; none makes the client
	// public.
	Secrets      []secret.String
	RedirectURIs []string
}

func (s Static) client() *Client {
	c := &Client{
		ID: s.ID, Name: s.Name, Static: true, AuthMethod: AuthNone,
		RedirectURIs: slices.Clone(s.RedirectURIs),
		GrantTypes:   []string{GrantCode, GrantRefresh},
	}
	for _, sec := range s.Secrets {
		// An empty secret matches nothing, but its client stays confidential: a variable
		// that was left unset must not open the door.
		c.AuthMethod = AuthBasic
		if !sec.IsZero() {
			c.secretHashes = append(c.secretHashes, sha256.Sum256([]byte(sec.Reveal())))
		}
	}
	return c
}

// Redirects tells whether the client may be answered at the requested URI: one rule for
// every endpoint, oauth.MatchRedirect.
func (c *Client) Redirects(requested string) bool {
	return oauth.CheckRedirectURI(requested) == nil &&
		slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
			return oauth.MatchRedirect(registered, requested)
		})
}

// AllowsGrant tells whether the client may use a grant type.
func (c *Client) AllowsGrant(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// Confidential tells whether the client has a secret (RFC 6749 §2.1).
func (c *Client) Confidential() bool { return c.AuthMethod != AuthNone }

// hasSecret compares every candidate with every secret in constant time.
func (c *Client) hasSecret(candidates []string) bool {
	match := 0
	for _, candidate := range candidates {
		sum := sha256.Sum256([]byte(candidate))
		for _, h := range c.secretHashes {
			match |= subtle.ConstantTimeCompare(sum[:], h[:])
		}
	}
	return match == 1
}
