// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

func testPolicy() (*Policy, *Resource, *Resource) {
	a := &Resource{URL: "https://mcp.example.com/mcp", Scopes: oauth.Scopes{"mcp"}}
	b := &Resource{URL: "https://api.example.com", Scopes: oauth.Scopes{"api://app/Tools.Use"}}
	return &Policy{
		Resources: []*Resource{a, b},
		Scopes: map[string]Scope{
			"mcp":       {Implies: oauth.Scopes{"mcp:write"}},
			"mcp:write": {Implies: oauth.Scopes{"mcp:read"}},
		},
	}, a, b
}

func TestFind(t *testing.T) {
	t.Parallel()
	p, a, b := testPolicy()
	for url, want := range map[string]*Resource{
		"https://mcp.example.com/mcp":      a,
		"https://mcp.example.com/mcp/":     a,
		"HTTPS://MCP.example.com:443/mcp":  a,
		"https://api.example.com/":         b,
		"https://mcp.example.com/mcp/x":    nil,
		"https://mcp.example.com/MCP":      nil,
		"https://mcp.example.com/mcp?q":    nil,
		"https://mcp.example.com/mcp#f":    nil,
		"https://mcp.example.com.evil/mcp": nil,
		"":                                 nil,
	} {
		if got := p.Find(url); got != want {
			t.Errorf("%q: %v", url, got)
		}
	}
	p.Resources = p.Resources[:1]
	if p.Find("") != a {
		t.Error("the only resource should be the default")
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	p, a, b := testPolicy()
	for asked, want := range map[string]string{
		"":                         "mcp",
		"claudeai":                 "mcp",
		"offline_access":           "mcp offline_access",
		"mcp:read":                 "mcp:read",
		"mcp:read mcp:read x":      "mcp:read",
		"mcp offline_access":       "mcp offline_access",
		"api://app/Tools.Use mcp":  "mcp",
		"Tools.Use offline_access": "mcp offline_access",
	} {
		if got := p.Narrow(a, oauth.ParseScopes(asked)).String(); got != want {
			t.Errorf("%q became %q, want %q", asked, got, want)
		}
	}
	if got := p.Narrow(b, oauth.Scopes{"Tools.Use"}).String(); got != "api://app/Tools.Use" {
		t.Errorf("alias became %q", got)
	}
	if !p.Satisfied(a, oauth.Scopes{"mcp"}) || p.Satisfied(a, oauth.Scopes{"mcp:read", "offline_access"}) {
		t.Error("a resource needs all of its scopes")
	}
	if got := p.AllScopes().String(); got != "mcp mcp:write mcp:read api://app/Tools.Use offline_access" {
		t.Errorf("all scopes: %q", got)
	}
	p.Scopes["mcp:read"] = Scope{Implies: oauth.Scopes{"mcp"}}
	if !p.Satisfied(a, oauth.Scopes{"mcp:read"}) {
		t.Error("a circle of implied scopes should end, and hold")
	}
}
