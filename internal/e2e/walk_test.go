// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// An MCP client that knows nothing but the URL reaches the tools, and the MCP server sees
// a JWT made for it and never the client's token.
func TestWalk(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	walk(t, w, w.emulator.Tenant()+"."+anna)
}

// The same with a provider that is nothing but OpenID Connect.
func TestWalkOIDC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := entratest.RunOpenID(t, entratest.OpenIDOptions{})
	w.start(globals("") + w.origin + " {\n" + block("resource "+w.resource+"\nprovider oidc {\nissuer "+p.URL()+
		"\nclient_id "+p.ClientID()+"\nclient_secret "+p.ClientSecret()+"\nscopes openid profile email offline_access\n}\n"+
		"allow {\ndomain contoso.example\n}\n") + "reverse_proxy /mcp* " + w.backend.addr() + "\n}\n")
	walk(t, w, anna)
	if len(p.Requests(entratest.Token)) < 2 {
		t.Error("the provider was not asked again at the refresh")
	}
}

func walk(t *testing.T, w *world, subject string) {
	t.Helper()
	client := w.client(nil)
	session := w.connect(client)
	tools, err := session.ListTools(w.ctx, nil)
	if err != nil || len(tools.Tools) != 3 {
		t.Fatalf("tools: %v %v", tools, err)
	}
	checkIdentity(t, w, client, w.whoami(session), subject)

	first := client.Tokens.Current()
	second, err := client.Tokens.Refresh()
	if err != nil {
		t.Fatalf("refresh: %v\n%s", err, w.caddy.Output())
	}
	if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken || second.RefreshToken == "" {
		t.Error("a refresh did not change both tokens")
	}
	checkIdentity(t, w, client, w.whoami(session), subject)
	checkArrivals(t, w.backend.arrivals(), first.AccessToken, second.AccessToken)
}

func checkIdentity(t *testing.T, w *world, c *mcptest.Client, who mcptest.Identity, subject string) {
	t.Helper()
	if who.Subject != subject || who.Issuer != w.issuer || !slices.Equal(who.Audience, []string{w.resource}) ||
		who.ClientID != c.Tokens.ClientID() || !slices.Contains(strings.Fields(who.Scope), "mcp") || who.Name != "Anna Admin" || who.ExpiresIn != 300 {
		t.Errorf("identity: %+v", who)
	}
}

// checkArrivals makes sure that everything that reached the MCP server bore a JWT, and
// none of the client's tokens anywhere.
func checkArrivals(t *testing.T, seen []arrival, tokens ...string) {
	t.Helper()
	if len(seen) == 0 {
		t.Error("nothing reached the MCP server")
	}
	for _, a := range seen {
		if strings.Count(a.jwt(), ".") != 2 {
			t.Errorf("%s %s came with %q", a.method, a.uri, a.header.Get("Authorization"))
		}
		for name, values := range a.header {
			for _, token := range tokens {
				if strings.Contains(strings.Join(values, " "), token) {
					t.Errorf("%s %s: header %s has the client's token", a.method, a.uri, name)
				}
			}
			if name == "Cookie" {
				t.Errorf("%s %s came with a cookie", a.method, a.uri)
			}
		}
	}
}

// contains tells whether s has all parts.
func contains(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}
