// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// defaultScope is what a resource without scopes needs.
const defaultScope = "mcp"

// policy resolves what the administrator decided. Errors are kept in r.
func (r *resolver) policy(h *Handler) *policy.Policy {
	p := &policy.Policy{
		Scopes:              r.scopes(h.Scope),
		Allow:               r.allow(h.Allow),
		Lifetimes:           r.lifetimes(h.Tokens),
		Streams:             r.streams(h.Streams),
		RegistrationEnabled: h.Registration == nil || !h.Registration.Off,
	}
	for _, raw := range h.Resource {
		p.Resources = append(p.Resources, r.resource(raw))
	}
	p.Issuer = r.optional("issuer", h.Issuer, checkIssuer)
	if p.Issuer == "" {
		p.Issuer = p.Resources[0].Origin + "/oauth"
	}
	return p
}

func (r *resolver) resource(raw Resource) *policy.Resource {
	text := r.value("resource", raw.URL, checkResourceURL)
	u, err := url.Parse(text)
	if err != nil {
		r.fail("resource", err)
		u = new(url.URL)
	}
	where := "resource " + text
	res := &policy.Resource{
		URL: text, Audience: text, Origin: u.Scheme + "://" + u.Host, Host: u.Host, Path: u.Path,
		Name:           r.optional(where+": name", raw.Name, checkText),
		Scopes:         r.list(where+": scopes", raw.Scopes, checkScope),
		AllowedOrigins: r.list(where+": allowed_origins", raw.AllowedOrigins, checkOrigin),
		Introspect:     r.list(where+": introspect", raw.Introspect, checkClientID),
		Forward:        r.forward(where+": forward", raw.Forward),
	}
	if raw.Audience != "" {
		res.Audience = r.value(where+": audience", raw.Audience, checkAudience)
	}
	if res.Name == "" {
		res.Name = u.Hostname()
	}
	if len(res.Scopes) == 0 {
		res.Scopes = oauth.Scopes{defaultScope}
	}
	return res
}

func (r *resolver) forward(where string, raw *Forward) []policy.ForwardHeader {
	r.fail(where, raw.checkRequired())
	if raw == nil {
		return nil
	}
	var out []policy.ForwardHeader
	for _, h := range raw.Header {
		name := r.value(where+": header", h.Name, checkHeaderName)
		claim := r.value(where+": header "+name, h.Claim, checkClaim)
		out = append(out, policy.ForwardHeader{Name: http.CanonicalHeaderKey(name), Claim: policy.Claim(claim)})
	}
	return out
}

func (r *resolver) scopes(raw []Scope) map[string]policy.Scope {
	out := make(map[string]policy.Scope, len(raw))
	for _, s := range raw {
		name := r.value("scope", s.Name, checkScope)
		where := "scope " + name
		if _, twice := out[name]; twice {
			r.fail(where, errors.New("the scope is declared twice: join the two blocks"))
		}
		out[name] = policy.Scope{
			Description: r.optional(where+": description", s.Description, checkText),
			Implies:     r.list(where+": implies", s.Implies, checkScope),
		}
	}
	return out
}

func (r *resolver) allow(raw []AllowBlock) policy.Allow {
	var out policy.Allow
	for _, a := range raw {
		r.fail("allow", a.checkRequired())
		out = append(out, slices.Concat(
			r.lines("user", a.User, checkUser),
			r.lines("role", a.Role, checkRole),
			r.lines("domain", a.Domain, checkDomain),
		))
	}
	return out
}

func (r *resolver) lines(attribute string, raw [][]string, check func(string) error) policy.Block {
	where := "allow: " + attribute
	var out policy.Block
	for _, line := range raw {
		if len(line) == 0 {
			r.fail(where, errors.New("a line without values would let nobody in: write one, or remove the line"))
		}
		out = append(out, policy.Line{Attribute: attribute, Values: r.list(where, line, check)})
	}
	return out
}

func (r *resolver) lifetimes(raw *Tokens) policy.Lifetimes {
	out := policy.DefaultLifetimes()
	if raw == nil {
		return out
	}
	for _, l := range lifetimes {
		if text := *l.field(raw); text != "" {
			*l.target(&out) = r.duration("tokens: "+l.word, text, l.check)
		}
	}
	if raw.RefreshIdle == "" {
		out.RefreshIdle = min(out.RefreshIdle, out.Refresh)
	}
	return out
}
