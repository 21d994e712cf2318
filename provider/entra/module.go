// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

func init() {
	caddy.RegisterModule(Module{})
}

const (
	place            = "provider entra"
	defaultAuthority = "login.microsoftonline.com"
)

// Module signs people in at Microsoft Entra ID, those of one tenant with their guests.
// People are identified by tenant id and object id, never by e-mail address. Register an
// application of platform Web with the redirect URI that is logged at start. Every value
// may contain the placeholders {env.NAME} and {file.PATH}.
type Module struct {
	// Tenant is the tenant's id (a GUID) or one of its domains. Required; common,
	// organizations and consumers, which let in everybody, are refused.
	Tenant string `json:"tenant,omitempty"`
	// ClientID is the Application (client) ID of the app registration. Required.
	ClientID string `json:"client_id,omitempty"`
	// ClientSecret is the value, not the id, of a client secret of the app registration;
	// write a placeholder. It travels in the body of token requests only. Required.
	ClientSecret string `json:"client_secret,omitempty"`
	// Authority is the cloud's sign-in host, such as login.microsoftonline.us or
	// login.partner.microsoftonline.cn, or its URL; http is accepted on loopback only.
	// Default: login.microsoftonline.com.
	Authority string `json:"authority,omitempty"`
	// Scopes are what Microsoft is asked for; the list replaces the default and may name
	// one resource beside the scopes of OpenID Connect. Default: openid profile email
	// offline_access. Without offline_access there is no refresh token, and whether
	// somebody still may sign in cannot be asked later.
	Scopes []string `json:"scopes,omitempty"`
	// Prompt is sent with every sign-in: login, consent or select_account. Default: none
	// is sent, but for select_account with clients that nobody knows.
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
		ID:  "http.mcp_oauth.providers.entra",
		New: func() caddy.Module { return new(Module) },
	}
}

// words are the words of the block, each with the field that keeps it and the place that
// its resolved value goes to.
func (m *Module) words() []surface.Word {
	c := &m.config
	return []surface.Word{
		{Usage: "tenant <id or domain>", Required: true, Check: checkTenant, Value: &m.Tenant, Resolved: func(v []string) { c.Tenant = strings.ToLower(v[0]) }},
		{Usage: "client_id <id>", Required: true, Check: oidc.CheckClientID, Value: &m.ClientID, Resolved: func(v []string) { c.ClientID = canonicalID(v[0]) }},
		{Usage: "client_secret <secret>", Required: true, Check: oidc.CheckSecret, Value: &m.ClientSecret, Resolved: func(v []string) { c.ClientSecret = secret.New(v[0]) }},
		{Usage: "authority <host or URL>", Check: checkAuthority, Value: &m.Authority, Resolved: func(v []string) { c.Authority = v[0] }},
		{Usage: "scopes <scope>...", Check: oidc.CheckScope, Values: &m.Scopes, Resolved: func(v []string) { c.Scopes = v }},
		{Usage: "prompt <value>", Check: checkPrompt, Value: &m.Prompt, Resolved: func(v []string) { c.Prompt = v[0] }},
		oidc.VerifyWord(&m.VerifyAccount, &m.verification),
	}
}

// Provision sets up the module. It dials nothing.
func (m *Module) Provision(ctx caddy.Context) (err error) {
	m.config = Config{Client: oidc.Client{Scopes: oidc.DefaultScopes()}, Authority: defaultAuthority}
	if err := surface.Resolve(place, m.words()); err != nil {
		return err
	}
	if m.config.Authority, err = authorityURL(m.config.Authority); err != nil {
		return fmt.Errorf("%s: authority: %w", place, err)
	}
	if err := checkScopes(m.config.Scopes); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	if err := m.checkVerification(); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	for _, s := range suspicions(m.config) {
		ctx.Logger().Warn(s)
	}
	return nil
}

// checkVerification refuses to promise what cannot be: Microsoft issues a refresh token
// for the scope offline_access and for nothing else.
func (m *Module) checkVerification() error {
	if m.VerifyAccount != "" && !m.verification.Never && !slices.Contains(m.config.Scopes, oauth.OfflineAccess) {
		return errors.New("verify_account: without the scope offline_access Microsoft cannot be asked again: add it to scopes, or write verify_account never")
	}
	return nil
}

// Build implements provider.Builder.
func (m *Module) Build(env provider.Env) (provider.Provider, error) { return New(m.config, env), nil }

// Identity implements provider.Builder.
func (m *Module) Identity() string {
	c := m.config
	return oidc.Digest("entra", c.Authority, c.Tenant, c.ClientID, c.ClientSecret.Reveal(), strings.Join(c.Scopes, " "), c.Prompt)
}

// Verification implements provider.Builder.
func (m *Module) Verification() provider.Verification { return m.verification }

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	provider entra {
//		tenant        <id or domain>
//		client_id     <id>
//		client_secret <secret>
//		authority     <host or URL>
//		scopes        <scope>...
//		prompt        <value>
//		verify_account on_refresh|never|every <duration>
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
