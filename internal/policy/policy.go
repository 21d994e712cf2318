// SPDX-License-Identifier: Apache-2.0

// Package policy is what an administrator decided: which resources there are, which
// scopes they need, who may use them, and how long things live. It is the resolved
// configuration, immutable once built, and knows neither HTTP nor storage.
package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// Policy is the resolved configuration of one mcp_oauth block.
type Policy struct {
	// Issuer is the issuer identifier (RFC 8414 §2), byte for byte as every document
	// shows it: no trailing slash, no query, no fragment.
	Issuer string
	// Resources are the protected resources in the order of the configuration.
	Resources []*Resource
	// Scopes are the declared scopes by name.
	Scopes map[string]Scope
	// Allow says who may sign in; empty means everyone whom the provider vouches for.
	Allow Allow
	// Lifetimes bound everything that ends by itself.
	Lifetimes Lifetimes
	// Verify says when the provider is asked again whether somebody still may be signed in.
	Verify provider.Verification
	// Streams bound the answers that stay open.
	Streams Streams
	// RegistrationEnabled tells whether dynamic client registration is offered.
	RegistrationEnabled bool
	// Fingerprint differs whenever the policy differs; it is part of cache keys.
	Fingerprint string
}

// Resource is one protected resource (RFC 9728).
type Resource struct {
	// URL is the resource identifier in the configured spelling.
	URL string
	// Origin is scheme and host of URL, Host the host in lower case without default
	// port, Path the path as configured ("" or "/" for a resource at the root).
	Origin, Host, Path string
	// Name is what people read on the consent page.
	Name string
	// Scopes are what a token needs, all of them.
	Scopes oauth.Scopes
	// Audience is the aud of the JWT for the backend; by default URL.
	Audience string
	// AllowedOrigins may call from a browser beside the resource's own origin and loopback.
	AllowedOrigins []string
	// Introspect are the ids of static clients that may ask about tokens of the resource.
	Introspect []string
	// Forward are the headers that tell the backend who the person is, no two of one name.
	Forward []ForwardHeader
}

// ForwardHeader is a header for the backend with the value of one claim of the JWT.
type ForwardHeader struct {
	// Name is in canonical form.
	Name  string
	Claim Claim
}

// IsRoot tells whether the resource is at "/" of its host.
func (r *Resource) IsRoot() bool { return r.Path == "" || r.Path == "/" }

// Same tells whether url identifies the resource in any of its spellings: scheme and
// host in any case, with or without default port and one trailing slash.
func (r *Resource) Same(url string) bool {
	return oauth.CanonicalResource(url) == oauth.CanonicalResource(r.URL)
}

// Scope is a declared scope.
type Scope struct {
	// Description is what people read on the consent page.
	Description string
	// Implies are scopes that whoever has this one has too.
	Implies oauth.Scopes
}

// Lifetimes are durations, all positive but for RefreshGrace, GuardCache and
// ProviderOutage, which may be zero (off).
type Lifetimes struct {
	Access, Refresh, RefreshIdle, RefreshGrace, Code time.Duration
	BackendJWT, GuardCache, ProviderOutage           time.Duration
}

// DefaultLifetimes are the defaults of the tokens block.
func DefaultLifetimes() Lifetimes {
	return Lifetimes{
		Access: time.Hour, Refresh: 90 * 24 * time.Hour, RefreshIdle: 30 * 24 * time.Hour,
		RefreshGrace: 60 * time.Second, Code: 60 * time.Second,
		BackendJWT: 5 * time.Minute, GuardCache: 30 * time.Second, ProviderOutage: 4 * time.Hour,
	}
}

// Introspection tells whether anybody may ask about tokens.
func (p *Policy) Introspection() bool {
	return slices.ContainsFunc(p.Resources, func(r *Resource) bool { return len(r.Introspect) > 0 })
}

// Find returns the resource that url identifies, or nil. The empty url is the only
// resource of a policy that has one (RFC 8707 leaves the default to the server).
func (p *Policy) Find(url string) *Resource {
	if url == "" {
		if len(p.Resources) == 1 {
			return p.Resources[0]
		}
		return nil
	}
	i := slices.IndexFunc(p.Resources, func(r *Resource) bool { return r.Same(url) })
	if i < 0 {
		return nil
	}
	return p.Resources[i]
}

// Grantable are the scopes that a token for r may carry: what r needs, what that
// implies, and offline_access.
func (p *Policy) Grantable(r *Resource) oauth.Scopes {
	return p.Closure(r.Scopes).Union(oauth.Scopes{oauth.OfflineAccess})
}

// Closure returns s with everything it implies, directly or through others.
func (p *Policy) Closure(s oauth.Scopes) oauth.Scopes {
	out := slices.Clone(s)
	for i := 0; i < len(out); i++ {
		out = out.Union(p.Scopes[out[i]].Implies)
	}
	return out
}

// Narrow turns the scopes that a client asked for into those that it gets at r: unknown
// ones are dropped, aliases resolved, and when nothing known remains it gets what r
// needs. RFC 6749 §3.3: the server may issue other scopes than requested and then must
// say which.
func (p *Policy) Narrow(r *Resource, requested oauth.Scopes) oauth.Scopes {
	out := p.Known(r, requested)
	if len(out.Without(oauth.OfflineAccess)) == 0 {
		return slices.Clone(r.Scopes).Union(out)
	}
	return out
}

// Known returns the requested scopes that r can grant, with aliases resolved.
func (p *Policy) Known(r *Resource, requested oauth.Scopes) oauth.Scopes {
	grantable := p.Grantable(r)
	var out oauth.Scopes
	for _, s := range requested {
		if name := resolve(grantable, s); name != "" {
			out = out.Union(oauth.Scopes{name})
		}
	}
	return out
}

// resolve finds the grantable scope that s names: itself, or the last segment of a
// URI-shaped scope such as api://…/MCP.Access, which is what some clients send.
func resolve(grantable oauth.Scopes, s string) string {
	if grantable.Has(s) {
		return s
	}
	for _, g := range grantable {
		if i := strings.LastIndexByte(g, '/'); i >= 0 && strings.Contains(g, "://") && g[i+1:] == s {
			return g
		}
	}
	return ""
}

// Satisfied tells whether a token with the granted scopes may use r.
func (p *Policy) Satisfied(r *Resource, granted oauth.Scopes) bool {
	return p.Closure(granted).HasAll(r.Scopes)
}

// AllScopes are the scopes of every resource with what they imply, and offline_access:
// scopes_supported of the authorization server's document.
func (p *Policy) AllScopes() oauth.Scopes {
	var out oauth.Scopes
	for _, r := range p.Resources {
		out = out.Union(p.Closure(r.Scopes))
	}
	return out.Union(oauth.Scopes{oauth.OfflineAccess})
}
