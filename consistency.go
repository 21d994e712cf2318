// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// What can be missing is checked by the parser, which knows where, and by Provision.
var (
	errNoResource      = errors.New("resource is missing: write the URL that people paste into their client, such as resource https://mcp.example.com/mcp")
	errNoProvider      = errors.New("provider is missing: write who signs people in, as " + providerUsage)
	errEmptyAllow      = errors.New("allow has no rule, which would let nobody in: write a rule such as domain example.com, or remove the block")
	errEmptyForward    = errors.New("forward has no header: write one such as header X-User-Email email, or remove the block")
	errRegistrationOff = errors.New("registration is off and has further words: remove off, or the words")
)

func (h *Handler) checkRequired() error {
	if len(h.Resource) == 0 {
		return errNoResource
	}
	if len(h.ProviderRaw) == 0 {
		return errNoProvider
	}
	return nil
}

func (f *Forward) checkRequired() error {
	if f != nil && len(f.Header) == 0 {
		return errEmptyForward
	}
	return nil
}

func (a AllowBlock) checkRequired() error {
	if len(a.User)+len(a.Role)+len(a.Domain) == 0 {
		return errEmptyAllow
	}
	return nil
}

// checkRequired leaves a client with a secret alone, which may be one that asks about
// tokens; see checkIntrospection.
func (c Client) checkRequired() error {
	if len(c.RedirectURI) == 0 && len(c.Secret) == 0 {
		return noRedirectURI(c.ID)
	}
	return nil
}

func noRedirectURI(client string) error {
	return fmt.Errorf("client %s has no redirect_uri: write where its answers go, such as redirect_uri https://client.example.com/callback", client)
}

// checkIntrospection wants clients with a secret where a resource says who may ask about its
// tokens, and from every other client an address for its answers.
func checkIntrospection(p *policy.Policy, static []clients.Static) error {
	var asking []string
	for _, r := range p.Resources {
		for _, id := range r.Introspect {
			i := slices.IndexFunc(static, func(c clients.Static) bool { return c.ID == id })
			if i < 0 {
				return fmt.Errorf("resource %s: introspect names %s, which is no client: write client %[2]s { secret {env.SECRET} }", r.URL, id)
			}
			if len(static[i].Secrets) == 0 {
				return fmt.Errorf("resource %s: introspect names %s, which has no secret: write secret {env.SECRET} in client %[2]s", r.URL, id)
			}
			asking = append(asking, id)
		}
	}
	for _, c := range static {
		if len(c.RedirectURIs) == 0 && !slices.Contains(asking, c.ID) {
			return noRedirectURI(c.ID)
		}
	}
	return nil
}

func (r *Registration) checkRequired() error {
	if r.Off && (r.Rate != nil || len(r.RedirectHosts) > 0) {
		return errRegistrationOff
	}
	return nil
}

// checkPolicy checks the values of a policy against each other.
func checkPolicy(p *policy.Policy) error {
	for _, check := range []func(*policy.Policy) error{
		checkDistinctResources, checkIssuerApart, checkForward, checkImplied, checkCycles, checkReached,
	} {
		if err := check(p); err != nil {
			return err
		}
	}
	return checkLifetimes(p.Lifetimes)
}

// checkDistinctResources compares as requests are compared: without regard to case and
// to a slash at the end.
func checkDistinctResources(p *policy.Policy) error {
	seen := make(map[string]string)
	for _, r := range p.Resources {
		key := strings.ToLower(oauth.CanonicalResource(r.URL))
		if first, found := seen[key]; found {
			return fmt.Errorf("resource %s is the same as resource %s: keep one of them", r.URL, first)
		}
		seen[key] = r.URL
	}
	return nil
}

// endpoints are the paths below the issuer that belong to the authorization server.
var endpoints = []string{
	"/register", "/authorize", "/login", "/login/continue", "/callback", "/token", "/revoke", "/introspect", "/jwks",
}

// checkIssuerApart keeps the authorization server and the resources apart where they
// share a host. A resource at "/" takes what the issuer leaves.
func checkIssuerApart(p *policy.Policy) error {
	issuer, err := url.Parse(p.Issuer)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	base := strings.ToLower(issuer.Path)
	for _, r := range p.Resources {
		path := strings.ToLower(strings.TrimSuffix(r.Path, "/"))
		if r.Origin != issuer.Scheme+"://"+issuer.Host || path == "" {
			continue
		}
		switch {
		case base == "" && slices.ContainsFunc(endpoints, func(e string) bool { return within(e, path) }):
			return fmt.Errorf("resource %s lies on an endpoint of the issuer %s: write another path for the resource, "+
				"or an issuer with a path, such as %[2]s/oauth", r.URL, p.Issuer)
		case base != "" && within(path, base):
			return fmt.Errorf("resource %s lies within the issuer %s, whose paths belong to the authorization server: "+
				"write another path for one of them", r.URL, p.Issuer)
		case base != "" && within(base, path):
			return fmt.Errorf("issuer %s lies within the resource %s and would hide a part of it: "+
				"write an issuer beside it, such as %s/oauth", p.Issuer, r.URL, r.Origin)
		}
	}
	return nil
}

// within tells whether path is base or below it.
func within(path, base string) bool {
	return path == base || strings.HasPrefix(path, base+"/")
}

// checkImplied wants implied scopes to be declared or needed somewhere, so that a
// mistyped one does not silently imply nothing.
func checkImplied(p *policy.Policy) error {
	for _, name := range sortedScopes(p) {
		for _, implied := range p.Scopes[name].Implies {
			_, declared := p.Scopes[implied]
			needed := slices.ContainsFunc(p.Resources, func(r *policy.Resource) bool { return r.Scopes.Has(implied) })
			if !declared && !needed {
				return fmt.Errorf("scope %s implies %s, which is neither declared nor needed by a resource: write scope %[2]s, or correct the name", name, implied)
			}
		}
	}
	return nil
}

func checkCycles(p *policy.Policy) error {
	for _, name := range sortedScopes(p) {
		if p.Closure(p.Scopes[name].Implies).Has(name) {
			return fmt.Errorf("scope %s implies itself, directly or through others: remove one of the implies lines", name)
		}
	}
	return nil
}

func checkReached(p *policy.Policy) error {
	reached := p.AllScopes()
	for _, name := range sortedScopes(p) {
		if !reached.Has(name) {
			return fmt.Errorf("scope %s is declared and no resource needs it, directly or through implies: "+
				"name it in the scopes of a resource, or remove it", name)
		}
	}
	return nil
}

// sortedScopes are the declared scopes in a stable order, so that the same configuration
// always has the same first fault.
func sortedScopes(p *policy.Policy) []string {
	names := make([]string, 0, len(p.Scopes))
	for name := range p.Scopes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// firstTwice returns the first item that comes twice, or "".
func firstTwice(items []string) string {
	for i, item := range items {
		if slices.Contains(items[:i], item) {
			return item
		}
	}
	return ""
}
