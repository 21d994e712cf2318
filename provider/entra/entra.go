// SPDX-License-Identifier: Apache-2.0

// Package entra signs people in at Microsoft Entra ID. It is provider/oidc with what
// Microsoft does differently: the rule for issuers, the claims that identify people, and
// the errors that look final and are not.
package entra

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

// Config is the resolved configuration.
type Config struct {
	oidc.Client
	// Tenant is the tenant's id (a GUID in lower case) or one of its domains.
	Tenant string
	// Authority is scheme and host of the cloud, such as https://login.microsoftonline.com.
	Authority string
}

// New returns the provider. It dials nothing.
func New(c Config, env provider.Env) provider.Provider {
	return oidc.NewRelyingParty(dialect{c}, c.Client, env)
}

// dialect implements oidc.Dialect.
type dialect struct{ c Config }

func (dialect) Name() string { return "Microsoft" }

func (d dialect) DiscoveryURL() string {
	return d.c.Authority + "/" + url.PathEscape(d.c.Tenant) + "/v2.0/.well-known/openid-configuration"
}

// CheckMetadata demands the document of the configured tenant. A tenant that is
// configured by domain is known by its id from here on.
func (d dialect) CheckMetadata(md *oidc.Metadata) error {
	tenant := issuerTenant(md.Issuer)
	if !isGUID(tenant) || isGUID(d.c.Tenant) && tenant != d.c.Tenant {
		return fmt.Errorf("the discovery document is of issuer %q, which is not tenant %s", md.Issuer, d.c.Tenant)
	}
	return nil
}

// Algorithms is RS256 alone: Microsoft signs by nothing else, and its keys do not say
// what they are for.
func (dialect) Algorithms(*oidc.Metadata) []string { return []string{"RS256"} }

func (dialect) IssuerIsOwn() bool { return true }

// Missing is nothing: the userinfo endpoint is Microsoft Graph's and states no more than
// the ID token.
func (dialect) Missing(*oidc.IDToken) []string { return nil }

func (dialect) SelectsAccount(*oidc.Metadata) bool { return true }

// passing are codes that come with error=invalid_grant or another error that would end a
// grant, and mean that Microsoft is busy: request loop (50196), tenant throttled (90055),
// and transient failures of its service. "Apps that take a dependency on error code
// numbers will be broken over time": a number missing here costs a sign-in, and nothing
// is granted because of one.
var passing = []int{50196, 90055, 90024, 90006, 90012, 90033}

// ours are codes about our own credential or registration. They belong to other errors
// than those that end a grant; where one comes inside of such an error all the same, it
// says nothing about the person. 70002 is not among them: it accompanies 70008, an expired
// refresh token.
var ours = []int{7000215, 7000222, 700027, 7000218, 700025, 70021, 700211, 700212, 700213, 700214, 700016, 700005, 90002}

func (dialect) Transient(e *oidc.TokenError) bool {
	return slices.ContainsFunc(e.Numbers, func(n int) bool {
		return slices.Contains(passing, n) || e.Code == "invalid_grant" && slices.Contains(ours, n)
	})
}

// isGUID tells whether s is a GUID in lower case, 8-4-4-4-12.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch dash := i == 8 || i == 13 || i == 18 || i == 23; {
		case dash && s[i] != '-', !dash && !strings.ContainsRune("0123456789abcdef", rune(s[i])):
			return false
		}
	}
	return true
}
