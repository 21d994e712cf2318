// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

func init() {
	caddy.RegisterModule(Module{})
}

const place = "provider oidc"

// Module signs people in at any OpenID Connect provider that has a discovery document.
// People are identified by the provider's issuer and subject, never by e-mail address.
// Every value may contain the placeholders {env.NAME} and {file.PATH}.
type Module struct {
	// Issuer is the provider's issuer, exactly as its discovery document states it, with
	// or without a slash at the end. Required.
	Issuer string `json:"issuer,omitempty"`
	// DiscoveryURL is where the discovery document is. Default: the issuer followed by
	// /.well-known/openid-configuration.
	DiscoveryURL string `json:"discovery_url,omitempty"`
	// ClientID is the id of the application that was registered at the provider. Required.
	ClientID string `json:"client_id,omitempty"`
	// ClientSecret is the application's secret; write a placeholder. It travels in the
	// body or the Authorization header of token requests, whichever the discovery document
	// names, and never in a URL. Required.
	ClientSecret string `json:"client_secret,omitempty"`
	// Scopes are what the provider is asked for; the list replaces the default. Default:
	// openid profile email offline_access. Without offline_access many providers return
	// no refresh token, and whether somebody still may sign in cannot be asked later.
	Scopes []string `json:"scopes,omitempty"`
	// Claims are the names of the claims that say who a person is.
	Claims ClaimNames `json:"claims,omitzero"`
	// Prompt is sent with every sign-in: login, consent, select_account, or several of
	// them separated by spaces. Default: none is sent, but for select_account with
	// clients that nobody knows, where the provider supports it.
	Prompt string `json:"prompt,omitempty"`
	// VerifyAccount is when the provider is asked again whether somebody still may be
	// signed in. on_refresh asks whenever a client refreshes its access token. every and a
	// duration of 1m to 24h, such as every 15m, also asks while an access token is used or
	// a stream is open, as soon as the last yes is older than that. never asks nobody and
	// keeps no token of the provider: who left stays signed in until refresh or
	// refresh_idle ends, or somebody revokes it. Default: on_refresh.
	VerifyAccount string `json:"verify_account,omitempty"`

	config       Config
	verification provider.Verification
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.mcp_oauth.providers.oidc",
		New: func() caddy.Module { return new(Module) },
	}
}

// words are the words of the block, each with the field that keeps it and the place that
// its resolved value goes to.
func (m *Module) words() []surface.Word {
	c := &m.config
	claim := func(usage string, raw, resolved *string, check func(string) error) surface.Word {
		return surface.Word{Usage: usage, Check: check, Value: raw, Resolved: func(v []string) { *resolved = v[0] }}
	}
	return []surface.Word{
		{Usage: "issuer <url>", Required: true, Check: CheckIssuer, Value: &m.Issuer, Resolved: func(v []string) { c.Issuer = v[0] }},
		{Usage: "discovery_url <url>", Check: CheckURL, Value: &m.DiscoveryURL, Resolved: func(v []string) { c.DiscoveryURL = v[0] }},
		{Usage: "client_id <id>", Required: true, Check: CheckClientID, Value: &m.ClientID, Resolved: func(v []string) { c.ClientID = v[0] }},
		{Usage: "client_secret <secret>", Required: true, Check: CheckSecret, Value: &m.ClientSecret, Resolved: func(v []string) { c.ClientSecret = secret.New(v[0]) }},
		{Usage: "scopes <scope>...", Check: CheckScope, Values: &m.Scopes, Resolved: func(v []string) { c.Scopes = v }},
		{Usage: "prompt <value>", Check: CheckPrompt, Value: &m.Prompt, Resolved: func(v []string) { c.Prompt = v[0] }},
		VerifyWord(&m.VerifyAccount, &m.verification),
		{Usage: "claims { ... }", Words: []surface.Word{
			claim("subject <claim>", &m.Claims.Subject, &c.Claims.Subject, CheckSubjectClaim),
			claim("roles <claim>", &m.Claims.Roles, &c.Claims.Roles, CheckClaim),
			claim("groups <claim>", &m.Claims.Groups, &c.Claims.Groups, CheckClaim),
			claim("name <claim>", &m.Claims.Name, &c.Claims.Name, CheckClaim),
			claim("email <claim>", &m.Claims.Email, &c.Claims.Email, CheckClaim),
		}},
	}
}

// Provision sets up the module. It dials nothing.
func (m *Module) Provision(caddy.Context) error {
	m.config = Config{
		Client: Client{Scopes: DefaultScopes()},
		Claims: ClaimNames{Subject: "sub", Roles: "roles", Groups: "groups", Name: "name", Email: defaultEmail},
	}
	if err := surface.Resolve(place, m.words()); err != nil {
		return err
	}
	if err := CheckScopes(m.config.Scopes); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	return nil
}

// Build implements provider.Builder.
func (m *Module) Build(env provider.Env) (provider.Provider, error) { return New(m.config, env), nil }

// Identity implements provider.Builder.
func (m *Module) Identity() string {
	c := m.config
	return Digest("oidc", c.Issuer, c.DiscoveryURL, c.ClientID, c.ClientSecret.Reveal(), strings.Join(c.Scopes, " "), c.Prompt,
		c.Claims.Subject, c.Claims.Roles, c.Claims.Groups, c.Claims.Name, c.Claims.Email)
}

// Verification implements provider.Builder.
func (m *Module) Verification() provider.Verification { return m.verification }

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	provider oidc {
//		issuer        <url>
//		discovery_url <url>
//		client_id     <id>
//		client_secret <secret>
//		scopes        <scope>...
//		prompt        <value>
//		verify_account on_refresh|never|every <duration>
//		claims {
//			subject <claim>
//			roles   <claim>
//			groups  <claim>
//			name    <claim>
//			email   <claim>
//		}
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return surface.Unmarshal(d, place, m.words())
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ provider.Builder      = (*Module)(nil)
)
