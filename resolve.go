// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// settings are a configuration with every placeholder resolved, every default filled in
// and every value checked. They live in unexported fields alone, because Caddy prints
// exported ones.
type settings struct {
	policy *policy.Policy
	// masters are the master keys of the configuration; none means that the store makes
	// its own.
	masters []seal.Master
	// alg is the algorithm of new signing keys.
	alg   string
	rules clients.Rules
	// title and support are the texts of the login block; may be empty.
	title, support string
	store          store.Opener
	provider       provider.Builder
	// words renders each top-level word, secrets as digests, so that two configurations
	// can be compared.
	words map[string]string
}

// The default rate of new registrations from one address.
const (
	defaultRate   = 20
	defaultWindow = time.Minute
)

// resolve checks the configuration and returns what it means. It loads the store and
// the provider module, and neither opens nor dials anything. Provision calls it once:
// loading consumes the raw modules.
func (h *Handler) resolve(ctx caddy.Context) (*settings, error) {
	if err := h.checkRequired(); err != nil {
		return nil, err
	}
	r := &resolver{repl: caddy.NewReplacer()}
	s := &settings{policy: r.policy(h), masters: r.masters(h.EncryptionKey), alg: r.backendAlg(h.Tokens), rules: r.rules(h)}
	options := r.options(h.StoreRaw)
	if h.Login != nil {
		s.title = r.optional("login: title", h.Login.Title, checkText)
		s.support = r.optional("login: support", h.Login.Support, checkSupport)
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := checkPolicy(s.policy); err != nil {
		return nil, err
	}
	if err := checkIntrospection(s.policy, s.rules.Static); err != nil {
		return nil, err
	}
	s.rules.Scopes = s.policy.AllScopes()

	var err error
	if s.store, err = h.loadStore(ctx); err != nil {
		return nil, err
	}
	if s.provider, err = h.loadProvider(ctx); err != nil {
		return nil, err
	}
	s.policy.Verify = s.provider.Verification()
	s.render(options)
	return s, nil
}

// resolver resolves values one after the other and keeps the first error, so that
// building a structure needs no error handling for each field.
type resolver struct {
	repl *caddy.Replacer
	err  error
}

// fail records the first error. where is the word that is wrong.
func (r *resolver) fail(where string, err error) {
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("%s: %w", where, err)
	}
}

// value resolves and checks one value.
func (r *resolver) value(where, raw string, check func(string) error) string {
	v, err := surface.Expand(r.repl, raw)
	if err == nil {
		err = check(v)
	}
	r.fail(where, err)
	return v
}

// optional is value for a word that may be absent.
func (r *resolver) optional(where, raw string, check func(string) error) string {
	if raw == "" {
		return ""
	}
	return r.value(where, raw, check)
}

// list resolves and checks the values of a list, none of which may come twice. Each is
// one item, whatever is in the variable that it names.
func (r *resolver) list(where string, raw []string, check func(string) error) []string {
	var out []string
	for _, v := range raw {
		out = append(out, r.value(where, v, check))
	}
	if twice := firstTwice(out); twice != "" {
		r.fail(where, fmt.Errorf("%q is written twice: keep one", twice))
	}
	return out
}

func (r *resolver) duration(where string, raw Duration, check func(string) error) time.Duration {
	d, err := surface.ParseDuration(r.value(where, string(raw), check))
	r.fail(where, err)
	return d
}

// masters parses the master keys, of which no two may have the same key id.
func (r *resolver) masters(raw []string) []seal.Master {
	const where = "encryption_key"
	var out []seal.Master
	for _, v := range raw {
		m, err := seal.ParseMaster(r.value(where, v, checkEncryptionKey))
		if err == nil {
			out = append(out, m)
		}
	}
	if seal.DuplicateKID(out) {
		r.fail(where, errors.New("two keys have one key id, which is computed from the key: remove the second or make another"))
	}
	return out
}

func (r *resolver) rules(h *Handler) clients.Rules {
	rules := clients.Rules{Static: r.clients(h.Client), Rate: defaultRate, Window: defaultWindow}
	reg := h.Registration
	if reg == nil {
		return rules
	}
	r.fail("registration", reg.checkRequired())
	rules.RegistrationOff = reg.Off
	rules.RedirectHosts = r.list("registration: redirect_hosts", reg.RedirectHosts, checkRedirectHost)
	if reg.Rate != nil {
		events, err := strconv.Atoi(r.value("registration: rate", string(reg.Rate.Events), checkEvents))
		r.fail("registration: rate", err)
		rules.Rate = events
		rules.Window = r.duration("registration: rate", reg.Rate.Window, checkWindow)
	}
	return rules
}

func (r *resolver) clients(raw []Client) []clients.Static {
	var out []clients.Static
	ids := make(map[string]bool)
	for _, c := range raw {
		id := r.value("client", c.ID, checkClientID)
		where := "client " + id
		if ids[id] {
			r.fail(where, errors.New("the id is written twice: join the two blocks, or write another id"))
		}
		ids[id] = true
		r.fail("client", c.checkRequired())
		name := r.optional(where+": name", c.Name, checkText)
		if name == "" {
			name = id
		}
		var secrets []secret.String
		for _, v := range c.Secret {
			secrets = append(secrets, secret.New(r.value(where+": secret", v, checkClientSecret)))
		}
		out = append(out, clients.Static{
			ID: id, Name: name, Secrets: secrets,
			RedirectURIs: r.list(where+": redirect_uri", c.RedirectURI, checkRedirectURI),
		})
	}
	return out
}
