// SPDX-License-Identifier: Apache-2.0

package route

import (
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// site is a policy with resources given by URL.
func site(issuer string, urls ...string) *policy.Policy {
	p := &policy.Policy{Issuer: issuer}
	for _, u := range urls {
		scheme, host, path := splitOrigin(u)
		p.Resources = append(p.Resources, &policy.Resource{
			URL: u, Origin: scheme + "://" + host, Host: host, Path: path, Scopes: oauth.Scopes{"mcp"},
		})
	}
	return p
}

// want is a Route with the resource by URL.
type want struct {
	kind     Kind
	document Doc
	endpoint string
	resource string
	slash    bool
}

func got(r Route) want {
	w := want{kind: r.Kind, document: r.Document, endpoint: r.Endpoint, slash: r.Slash}
	if r.Resource != nil {
		w.resource = r.Resource.URL
	}
	return w
}

type asked struct {
	host, path string
	want       want
}

func check(t *testing.T, p *policy.Policy, requests []asked) {
	t.Helper()
	table := New(p)
	for _, c := range requests {
		if have := got(table.Route(c.host, c.path, c.path)); have != c.want {
			t.Errorf("%s %s: %+v, want %+v", c.host, c.path, have, c.want)
		}
	}
}

// Introspection is an endpoint where somebody may use it, and only there.
func TestIntrospectionIsAnEndpointWhereConfigured(t *testing.T) {
	t.Parallel()
	p := site("https://h.example/oauth", "https://h.example/mcp", "https://h.example/other")
	check(t, p, []asked{{"h.example", "/oauth/introspect", notFound}, {"h.example", "/oauth/revoke", endpoint("revoke")}})
	p.Resources[1].Introspect = []string{"payroll"}
	check(t, p, []asked{
		{"h.example", "/oauth/introspect", endpoint("introspect")}, {"h.example", "/oauth/revoke", endpoint("revoke")},
		{"h.example", "/oauth/Introspect", badPath},
	})
}

var (
	server   = want{kind: Document, document: ASMetadata}
	notFound = want{kind: NotFound}
	badPath  = want{kind: BadPath}
	next     = want{kind: Next}
	other    = want{kind: Misdirected}
)

func endpoint(name string) want { return want{kind: Endpoint, endpoint: name} }
func guards(url string) want    { return want{kind: Guarded, resource: url} }
func slashed(w want) want       { w.slash = true; return w }
func documentOf(url string) want {
	return want{kind: Document, document: ProtectedResource, resource: url}
}

func TestOneResourceOneHost(t *testing.T) {
	t.Parallel()
	const r = "https://h.example/mcp"
	check(t, site("https://h.example/oauth", r), []asked{
		{"h.example", "/.well-known/oauth-authorization-server/oauth", server},
		{"h.example", "/.well-known/openid-configuration/oauth", server},
		{"h.example", "/oauth/.well-known/openid-configuration", server},
		{"h.example", "/oauth/.well-known/oauth-authorization-server", server},
		{"h.example", "/.well-known/oauth-authorization-server", server},
		{"h.example", "/.well-known/openid-configuration", notFound},
		{"h.example", "/.well-known/openid-configuration/mcp", notFound},
		{"h.example", "/.well-known/oauth-authorization-server/mcp", notFound},
		{"h.example", "/.well-known/oauth-authorization-server/oauth/", notFound},
		{"h.example", "/.well-known/oauth-client/x", notFound},
		{"h.example", "/oauth/.well-known/security.txt", notFound},
		{"h.example", "/.well-known/oauth-protected-resource/mcp", documentOf(r)},
		{"h.example", "/.well-known/oauth-protected-resource/mcp/", slashed(documentOf(r))},
		{"h.example", "/.well-known/oauth-protected-resource", documentOf(r)},
		{"h.example", "/.well-known/oauth-protected-resource/", notFound},
		{"h.example", "/.well-known/oauth-protected-resource/other", notFound},
		{"h.example", "/.WELL-known/oauth-protected-resource/mcp", notFound},
		{"h.example", "/.well-known/acme-challenge/x", next},

		{"h.example", "/oauth/register", endpoint("register")},
		{"h.example", "/oauth/authorize", endpoint("authorize")},
		{"h.example", "/oauth/login", endpoint("login")},
		{"h.example", "/oauth/login/continue", endpoint("login/continue")},
		{"h.example", "/oauth/callback", endpoint("callback")},
		{"h.example", "/oauth/token", endpoint("token")},
		{"h.example", "/oauth/revoke", endpoint("revoke")},
		{"h.example", "/oauth/jwks", endpoint("jwks")},
		{"h.example", "/oauth", notFound},
		{"h.example", "/oauth/", notFound},
		{"h.example", "/oauth/introspect", notFound},
		{"h.example", "/oauth/token/", notFound},
		{"h.example", "/oauthx", next},

		{"h.example", "/mcp", guards(r)},
		{"h.example", "/mcp/", slashed(guards(r))},
		{"h.example", "/mcp/sse", guards(r)},
		{"h.example", "/mcp/sse/", guards(r)},
		{"h.example", "/mcpx", guards(r)},
		{"h.example", "/MCP/", guards(r)},
		{"h.example", "/", next},
		{"h.example", "", next},
		{"h.example", "*", next},
		{"h.example", "/index.html", next},
		{"h.example", "/files/100%25", next},
		{"h.example", "/files/a;b=c", next},

		{"H.Example", "/mcp", guards(r)},
		{"h.example.", "/mcp", guards(r)},
		{"h.example:443", "/mcp", guards(r)},
		{"H.EXAMPLE.:443", "/mcp", guards(r)},
		{"h.example:", "/mcp", guards(r)},
		{"h.example:8443", "/mcp", other},
		{"h.example:80", "/mcp", other},
		{"other.example", "/mcp", other},
		{"other.example", "/mcp%00", other},
		{"other.example", "/MCP/x", other},
		{"other.example", "/oauth/token", next},
		{"other.example", "/.well-known/oauth-protected-resource", next},
		{"other.example", "/x%00", next},
		{"other.example", "/", next},
		{"", "/mcp", other},
		{"", "/", next},
	})
}

func TestIssuerAtBareOrigin(t *testing.T) {
	t.Parallel()
	const r = "https://h.example/mcp"
	check(t, site("https://h.example", r), []asked{
		{"h.example", "/.well-known/oauth-authorization-server", server},
		{"h.example", "/.well-known/openid-configuration", server},
		{"h.example", "/.well-known/oauth-authorization-server/mcp", notFound},
		{"h.example", "/.well-known/openid-configuration/mcp", notFound},
		{"h.example", "/.well-known/security.txt", next},
		{"h.example", "/token", endpoint("token")},
		{"h.example", "/login/continue", endpoint("login/continue")},
		{"h.example", "/Token", badPath},
		{"h.example", "/token/", next},
		{"h.example", "/tokens", next},
		{"h.example", "/mcp", guards(r)},
		{"h.example", "/", next},
	})
}

func TestResourceAtRoot(t *testing.T) {
	t.Parallel()
	for _, r := range []string{"https://h.example", "https://h.example/"} {
		check(t, site("https://h.example/oauth", r), []asked{
			{"h.example", "/.well-known/oauth-protected-resource", documentOf(r)},
			{"h.example", "/.well-known/oauth-protected-resource/", slashed(documentOf(r))},
			{"h.example", "/.well-known/oauth-protected-resource/mcp", notFound},
			{"h.example", "/.well-known/oauth-authorization-server/oauth", server},
			{"h.example", "/.well-known/openid-configuration", notFound},
			{"h.example", "/oauth/token", endpoint("token")},
			{"h.example", "/oauth/x", notFound},
			{"h.example", "/oauthx", guards(r)},
			{"h.example", "/", guards(r)},
			{"h.example", "", guards(r)},
			{"h.example", "*", guards(r)},
			{"h.example", "/anything/", guards(r)},
			{"h.example", "/.well-known/security.txt", guards(r)},
			{"other.example", "/", other},
			{"other.example", "/x%00", other},
		})
	}
}

func TestSeveralResources(t *testing.T) {
	t.Parallel()
	const a, ab, root, b = "https://h.example/a", "https://h.example/a/b", "https://h.example", "https://b.example/mcp"
	check(t, site("https://login.example", a, ab, b), []asked{
		{"h.example", "/a", guards(a)},
		{"h.example", "/a/", slashed(guards(a))},
		{"h.example", "/a/b", guards(ab)},
		{"h.example", "/a/b/", slashed(guards(ab))},
		{"h.example", "/a/bc", guards(ab)},
		{"h.example", "/mcp", other},
		{"h.example", "/token", next},
		{"h.example", "/.well-known/oauth-protected-resource", notFound},
		{"h.example", "/.well-known/oauth-protected-resource/a/b", documentOf(ab)},
		{"h.example", "/.well-known/oauth-authorization-server", notFound},
		{"b.example", "/.well-known/oauth-protected-resource", documentOf(b)},
		{"b.example", "/a", other},
		{"b.example", "/mcp", guards(b)},
		{"login.example", "/token", endpoint("token")},
		{"login.example", "/.well-known/oauth-authorization-server", server},
		{"login.example", "/.well-known/oauth-protected-resource", notFound},
		{"login.example", "/mcp", other},
		{"login.example", "/", next},
		{"x.example", "/a", other},
		{"x.example", "/", next},
	})
	check(t, site("https://login.example", root, a), []asked{
		{"h.example", "/a/x", guards(a)},
		{"h.example", "/b", guards(root)},
		{"h.example", "/.well-known/oauth-protected-resource", documentOf(root)},
		{"login.example", "/x", next},
		{"login.example", "/a", other},
		{"x.example", "/x", other},
	})
}

func TestHostsAndPorts(t *testing.T) {
	t.Parallel()
	const bare = "http://[::1]/mcp"
	check(t, site("http://[::1]/oauth", bare), []asked{
		{"[::1]", "/mcp", guards(bare)},
		{"[::1]:80", "/mcp", guards(bare)},
		{"[::1]:81", "/mcp", other},
	})
	const v6, port, plainHTTP = "http://[::1]:8080/mcp", "https://h.example:8443/mcp", "http://localhost/mcp"
	check(t, site("http://[::1]:8080/oauth", v6), []asked{
		{"[::1]:8080", "/mcp", guards(v6)},
		{"[::1]", "/mcp", other},
		{"[::1]:80", "/mcp", other},
	})
	check(t, site("https://h.example:8443/oauth", port), []asked{
		{"h.example:8443", "/mcp", guards(port)},
		{"h.example.:8443", "/mcp", guards(port)},
		{"h.example", "/mcp", other},
		{"h.example:8443", "/oauth/token", endpoint("token")},
		{"h.example", "/oauth/token", next},
	})
	check(t, site("http://localhost/oauth", plainHTTP), []asked{
		{"localhost", "/mcp", guards(plainHTTP)},
		{"localhost:80", "/mcp", guards(plainHTTP)},
		{"localhost:443", "/mcp", other},
	})
}

func TestRewrittenToAResourceOfAnotherHost(t *testing.T) {
	t.Parallel()
	table := New(site("https://h.example/oauth", "https://h.example/a", "https://b.example/b"))
	for _, c := range [][2]string{{"/b", "/x"}, {"/x", "/b"}, {"/x", "/B%2fx"}} {
		for _, host := range []string{"h.example", "x.example"} {
			if r := table.Route(host, c[0], c[1]); r.Kind != Misdirected {
				t.Errorf("%s %v: kind %d", host, c, r.Kind)
			}
		}
	}
}

// The request may have been rewritten before it came to the handler: what the client
// asked for and what the backend will get both count.
func TestRewritten(t *testing.T) {
	t.Parallel()
	const a, long = "https://h.example/a", "https://h.example/long"
	table := New(site("https://h.example/oauth", a, long))
	for _, c := range []struct {
		original, rewritten string
		want                want
	}{
		{"/a/x", "/x", guards(a)},
		{"/x", "/a/x", guards(a)},
		{"/x", "/y", next},
		{"/a", "/long", guards(long)},
		{"/long", "/a", guards(long)},
		{"/a/", "/x", slashed(guards(a))},
		{"/x", "/a/", guards(a)},
		{"/x", "/oauth/token", next},
		{"/oauth/token", "/x", endpoint("token")},
		{"/x", "/y%00", badPath},
		{"/x%00", "/y", badPath},
	} {
		if have := got(table.Route("h.example", c.original, c.rewritten)); have != c.want {
			t.Errorf("%s -> %s: %+v, want %+v", c.original, c.rewritten, have, c.want)
		}
	}
}

func TestSec_J20_EmptyTableGivesNoPermission(t *testing.T) {
	t.Parallel()
	var none *Table
	for _, table := range []*Table{none, {}} {
		if r := table.Route("h.example", "/x", "/x"); r.Kind != 0 {
			t.Errorf("kind %d", r.Kind)
		}
	}
	if Next == 0 {
		t.Error("the zero Kind is permission")
	}
}
