// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
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

	config Config
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
func (m *Module) words() []Word {
	c := &m.config
	claim := func(usage string, raw, resolved *string, check func(string) error) Word {
		return Word{Usage: usage, Check: check, Value: raw, Resolved: func(v []string) { *resolved = v[0] }}
	}
	return []Word{
		{Usage: "issuer <url>", Required: true, Check: CheckIssuer, Value: &m.Issuer, Resolved: func(v []string) { c.Issuer = v[0] }},
		{Usage: "discovery_url <url>", Check: CheckURL, Value: &m.DiscoveryURL, Resolved: func(v []string) { c.DiscoveryURL = v[0] }},
		{Usage: "client_id <id>", Required: true, Check: CheckClientID, Value: &m.ClientID, Resolved: func(v []string) { c.ClientID = v[0] }},
		{Usage: "client_secret <secret>", Required: true, Check: CheckSecret, Value: &m.ClientSecret, Resolved: func(v []string) { c.ClientSecret = secret.New(v[0]) }},
		{Usage: "scopes <scope>...", Check: CheckScope, Values: &m.Scopes, Resolved: func(v []string) { c.Scopes = v }},
		{Usage: "prompt <value>", Check: CheckPrompt, Value: &m.Prompt, Resolved: func(v []string) { c.Prompt = v[0] }},
		{Usage: "claims { ... }", Words: []Word{
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
	if err := Resolve(place, m.words()); err != nil {
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

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	provider oidc {
//		issuer        <url>
//		discovery_url <url>
//		client_id     <id>
//		client_secret <secret>
//		scopes        <scope>...
//		prompt        <value>
//		claims {
//			subject <claim>
//			roles   <claim>
//			groups  <claim>
//			name    <claim>
//			email   <claim>
//		}
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return Unmarshal(d, place, m.words())
}

// Word is one word of a provider's block: how it is written, checked and kept.
type Word struct {
	// Usage is how to write the word; it begins with its name.
	Usage string
	// Required tells whether the provider cannot work without it.
	Required bool
	// Check tells what is wrong with one value.
	Check func(string) error
	// Value keeps a word with one value, Values one with a list, which appends when it is
	// written again; both as written, with placeholders.
	Value  *string
	Values *[]string
	// Words are those of a nested block, in place of values.
	Words []Word
	// Resolved takes the values without placeholders; it is not called without a value.
	Resolved func([]string)
}

func (w Word) name() string { return strings.Fields(w.Usage)[0] }

func (w Word) values() []string {
	switch {
	case w.Values != nil:
		return *w.Values
	case w.Value != nil && *w.Value != "":
		return []string{*w.Value}
	default:
		return nil
	}
}

// missing is the error for a required word that was not written.
func (w Word) missing(place string) error {
	if !w.Required || len(w.values()) > 0 {
		return nil
	}
	return fmt.Errorf("%s has no %s: write %s", place, w.name(), w.Usage)
}

// Resolve replaces placeholders, checks every value and hands it on.
func Resolve(place string, words []Word) error {
	repl := caddy.NewReplacer()
	for _, w := range words {
		if err := cmp.Or(w.missing(place), Resolve(place+": "+w.name(), w.Words)); err != nil {
			return err
		}
		var resolved []string
		for _, v := range w.values() {
			out, err := resolve(repl, v, w.Check)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", place, w.name(), err)
			}
			resolved = append(resolved, out)
		}
		if len(resolved) > 0 {
			w.Resolved(resolved)
		}
	}
	return nil
}

func resolve(repl *caddy.Replacer, v string, check func(string) error) (string, error) {
	has, err := hasPlaceholder(v)
	if err != nil {
		return "", err
	}
	if has {
		if v, err = repl.ReplaceOrErr(v, true, true); err != nil {
			return "", fmt.Errorf("%w: set the environment variable, or write the file, before Caddy starts", err)
		}
	}
	return v, check(v)
}

// Unmarshal reads the block of a provider, whose name is the next token.
func Unmarshal(d *caddyfile.Dispenser, place string, words []Word) error {
	d.Next() // the provider's name
	if d.NextArg() {
		return d.Errf("unexpected %q: write %s { ... }", d.Val(), place)
	}
	if err := block(d, place, words); err != nil {
		return err
	}
	for _, w := range words {
		if err := w.missing(place); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

func block(d *caddyfile.Dispenser, place string, words []Word) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		i := slices.IndexFunc(words, func(w Word) bool { return w.name() == name })
		if i < 0 {
			return d.Errf("unrecognized subdirective %q in %s", name, place)
		}
		if seen[name] && words[i].Values == nil {
			return d.Errf("%s is written twice in %s: keep one line", name, place)
		}
		seen[name] = true
		if err := words[i].parse(d, place); err != nil {
			return err
		}
	}
	return nil
}

// parse reads what follows the name of the word.
func (w Word) parse(d *caddyfile.Dispenser, place string) error {
	args := d.RemainingArgs()
	opens := opensBlock(d)
	switch {
	case w.Words != nil && (len(args) > 0 || !opens), w.Words == nil && opens:
		return d.Errf("%s is not written like this: write %s", w.name(), w.Usage)
	case w.Words != nil:
		return block(d, place+": "+w.name(), w.Words)
	case len(args) == 0:
		return d.Errf("%s has no value: write %s", w.name(), w.Usage)
	case w.Value != nil && len(args) > 1:
		return d.Errf("%s has %d values and takes one: write %s", w.name(), len(args), w.Usage)
	}
	for _, v := range args {
		has, err := hasPlaceholder(v)
		if err == nil && !has {
			err = w.Check(v)
		}
		if err != nil {
			return d.WrapErr(fmt.Errorf("%s: %w", w.name(), err))
		}
	}
	if w.Values != nil {
		*w.Values = append(*w.Values, args...)
		return nil
	}
	*w.Value = args[0]
	return nil
}

// opensBlock tells whether a block follows on the same line, and reads nothing of it.
func opensBlock(d *caddyfile.Dispenser) bool {
	line := d.Line()
	if !d.Next() {
		return false
	}
	defer d.Prev()
	return d.Val() == "{" && d.Line() == line
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ provider.Builder      = (*Module)(nil)
)
