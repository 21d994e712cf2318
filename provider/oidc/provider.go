// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

const promptSelectAccount = "select_account"

// Config is the resolved configuration of a provider that is found by its issuer.
type Config struct {
	Client
	// Issuer is the issuer identifier, byte for byte as the provider states it.
	Issuer string
	// DiscoveryURL is where the discovery document is; "" means below the issuer, as
	// OpenID Connect Discovery §4 says.
	DiscoveryURL string
	// Claims are the names of the claims that say who a person is.
	Claims ClaimNames
}

// ClaimNames say which claims of an ID token hold what. A dotted name such as
// realm_access.roles leads into objects.
type ClaimNames struct {
	// Subject is the claim that identifies a person for good; backends see it as sub.
	// Default: sub.
	Subject string `json:"subject,omitempty"`
	// Roles is the claim that rules by role look at. Default: roles.
	Roles string `json:"roles,omitempty"`
	// Groups is the claim that names groups. It is read; no rule looks at it yet. Default:
	// groups.
	Groups string `json:"groups,omitempty"`
	// Name is the claim with the name to display. Default: name.
	Name string `json:"name,omitempty"`
	// Email is the claim with the e-mail address. Only the address in the claim email can
	// be verified, by email_verified; any other is for display. Default: email.
	Email string `json:"email,omitempty"`
}

const defaultEmail = "email"

// DefaultScopes are what providers are asked for: who the person is, and a refresh token.
func DefaultScopes() []string {
	return []string{"openid", "profile", "email", oauth.OfflineAccess}
}

// Digest names a configuration without showing any of its parts.
func Digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// New returns the provider. It dials nothing.
func New(c Config, env provider.Env) provider.Provider {
	return NewRelyingParty(generic{c}, c.Client, env)
}

// generic is the Dialect of the specification itself.
type generic struct{ c Config }

func (g generic) Name() string {
	u, err := url.Parse(g.c.Issuer)
	if err != nil {
		return g.c.Issuer
	}
	return u.Host
}

func (g generic) DiscoveryURL() string {
	if g.c.DiscoveryURL != "" {
		return g.c.DiscoveryURL
	}
	return strings.TrimSuffix(g.c.Issuer, "/") + "/.well-known/openid-configuration"
}

// CheckMetadata obeys OpenID Connect Discovery §4.3: "The issuer value returned MUST be
// identical to the Issuer URL that was used as the prefix".
func (g generic) CheckMetadata(md *Metadata) error {
	if md.Issuer != g.c.Issuer {
		return fmt.Errorf("the discovery document is of issuer %q, configured is %q: if that is your provider, write issuer %[1]s", md.Issuer, g.c.Issuer)
	}
	if len(md.Algorithms()) == 0 {
		return fmt.Errorf("the provider signs ID tokens by %v only, which is not supported here", md.IDTokenAlgorithms)
	}
	return nil
}

func (generic) Algorithms(md *Metadata) []string { return md.Algorithms() }

func (generic) IssuerIsOwn() bool { return false }

func (generic) SelectsAccount(md *Metadata) bool {
	return slices.Contains(md.Prompts, promptSelectAccount)
}

func (generic) Transient(*TokenError) bool { return false }

// Missing never names the subject: who somebody is, the ID token alone says.
func (g generic) Missing(t *IDToken) []string {
	var out []string
	for _, name := range []string{g.c.Claims.Name, g.c.Claims.Email, "preferred_username", g.c.Claims.Roles, g.c.Claims.Groups} {
		if t.Claims.find(name) == nil {
			first, _, _ := strings.Cut(name, ".")
			out = append(out, first)
		}
	}
	return out
}

func (g generic) Person(t *IDToken) (provider.Person, error) {
	n := g.c.Claims
	subject := t.Claims.String(n.Subject)
	if subject == "" {
		return provider.Person{}, errors.New("the claim configured as subject is absent")
	}
	p := provider.Person{
		Subject:           subject,
		Issuer:            t.Issuer,
		Name:              t.Claims.String(n.Name),
		PreferredUsername: t.Claims.String("preferred_username"),
		Email:             t.Claims.String(n.Email),
		Roles:             t.Claims.Strings(n.Roles),
		Groups:            t.Claims.Strings(n.Groups),
	}
	// email_verified speaks of the claim email alone (OpenID Connect Core §5.1).
	p.EmailVerified = p.Email != "" && n.Email == defaultEmail && t.Claims.True("email_verified")
	return p, nil
}
