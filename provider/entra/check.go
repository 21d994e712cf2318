// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

// shared are the tenants that let in people of every organisation.
var shared = []string{"common", "organizations", "consumers"}

var domain = regexp.MustCompile(`^([0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?\.)+[a-z][0-9a-z-]{0,61}[0-9a-z]$`)

func checkTenant(s string) error {
	lower := strings.ToLower(s)
	switch {
	case slices.Contains(shared, lower):
		return fmt.Errorf("%s would let in people of every organisation: write your tenant's id (a GUID) or one of its domains", lower)
	case isGUID(lower), len(s) <= 253 && domain.MatchString(lower):
		return nil
	default:
		return errors.New("write the tenant's id (a GUID) or one of its domains, such as contoso.onmicrosoft.com")
	}
}

// canonicalID writes a GUID as Microsoft does in tokens, in lower case; other ids stay.
func canonicalID(id string) string {
	if lower := strings.ToLower(id); isGUID(lower) {
		return lower
	}
	return id
}

// suspicions are what real app registrations never have: the usual mix-ups of people who
// copy from the portal. Emulators differ, so they are no errors.
func suspicions(c Config) []string {
	var out []string
	if !isGUID(c.ClientID) {
		out = append(out, "client_id is not a GUID: Microsoft's is the Application (client) ID of the app registration")
	}
	if isGUID(strings.ToLower(c.ClientSecret.Reveal())) {
		out = append(out, "client_secret looks like the id of a secret: Microsoft wants its value, which the portal shows once")
	}
	return out
}

func checkAuthority(s string) error {
	_, err := authorityURL(s)
	return err
}

// authorityURL returns scheme and host of an authority that is written as a host or as a
// URL.
func authorityURL(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	if err := oidc.CheckURL(s); err != nil {
		return "", err
	}
	u, err := url.Parse(s)
	if err != nil || strings.Trim(u.Path, "/") != "" || strings.Contains(s, "?") {
		return "", errors.New("write the host alone, such as login.microsoftonline.us: the tenant has its own line")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

// checkPrompt knows the values that Microsoft does; it takes one at a time.
func checkPrompt(s string) error {
	if !slices.Contains([]string{"login", "consent", "select_account"}, s) {
		return errors.New("write login, consent or select_account, or leave the line out")
	}
	return nil
}

// openIDScopes belong to no resource and may accompany those of any.
var openIDScopes = []string{"openid", "profile", "email", "offline_access"}

// checkScopes refuses what Microsoft would refuse at the first sign-in, or worse at the
// first refresh.
func checkScopes(scopes []string) error {
	if err := oidc.CheckScopes(scopes); err != nil {
		return err
	}
	if !slices.Contains(scopes, "profile") {
		return errors.New("scopes: add profile: without it Microsoft does not say who the person is (oid)")
	}
	seen := ""
	for _, s := range scopes {
		if slices.Contains(openIDScopes, s) {
			continue
		}
		r := scopeResource(s)
		if seen != "" && r != seen {
			return fmt.Errorf("scopes: %s and %s are two resources: Microsoft issues a token for one at a time, so keep the scopes of one", seen, r)
		}
		seen = r
	}
	return nil
}

// scopeResource is the resource that a scope belongs to: what precedes its last segment,
// or Microsoft Graph.
func scopeResource(scope string) string {
	if i := strings.LastIndexByte(scope, '/'); i > 0 {
		return strings.TrimSuffix(scope[:i], "/")
	}
	return "https://graph.microsoft.com"
}
