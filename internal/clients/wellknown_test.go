// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

func TestWellKnown(t *testing.T) {
	t.Parallel()
	for _, k := range wellKnownRedirects {
		uri := k.uri
		if k.tail {
			if WellKnown(uri) != "" {
				t.Errorf("%s matches without an id", uri)
			}
			uri += "abc-1_Z"
		}
		if err := oauth.CheckRedirectURI(uri); err != nil || WellKnown(uri) != k.name {
			t.Errorf("%s: %q, %v", uri, WellKnown(uri), err)
		}
		if WellKnown(uri+"/x") != "" || WellKnown(uri+"?x") != "" || WellKnown(uri+"/..") != "" || WellKnown(uri+" ") != "" {
			t.Errorf("more than %s matches", uri)
		}
	}
	for _, uri := range []string{
		"", "https://claude.ai", "https://claude.ai/api/mcp/auth_callback2", "https://claude.ai.evil/api/mcp/auth_callback", "http://claude.ai/api/mcp/auth_callback",
		"https://Claude.ai/api/mcp/auth_callback", "https://chatgpt.com/connector/oauth/a/b", "https://chatgpt.com/connector/oauth/a%2fb", "https://chatgpt.com/connector/oauth/..",
		"https://chatgpt.com/connector/oauth/a@b", "http://localhost:1/callback", "https://evil.example/?https://claude.ai/api/mcp/auth_callback",
	} {
		if got := WellKnown(uri); got != "" {
			t.Errorf("%s is %q", uri, got)
		}
	}
}

func TestAutomaticAndSelectAccount(t *testing.T) {
	t.Parallel()
	listed := Rules{RedirectHosts: []string{"partner.example"}}
	uris := []string{
		"https://claude.ai/api/mcp/auth_callback", "http://localhost/cb", "https://partner.example/cb", "https://stranger.example/cb", "com.example.app:/cb",
	}
	dynamic := &Client{RedirectURIs: uris}
	static := &Client{RedirectURIs: uris, Static: true}
	tests := []struct {
		redirect                                  string
		automatic, automaticListed, selectAccount bool
	}{
		{"https://claude.ai/api/mcp/auth_callback", true, true, false},
		{"http://localhost:5000/cb", true, true, true},
		{"https://partner.example/cb", false, true, true},
		{"https://stranger.example/cb", false, false, true},
		{"com.example.app:/cb", false, false, true},
		{"https://not-registered.example/cb", false, false, true},
		{"https://claude.com/api/mcp/auth_callback", false, false, false},
	}
	for _, tt := range tests {
		if got := Automatic(Rules{}, dynamic, tt.redirect); got != tt.automatic {
			t.Errorf("Automatic(%s) = %v", tt.redirect, got)
		}
		if got := Automatic(listed, dynamic, tt.redirect); got != tt.automaticListed {
			t.Errorf("Automatic(%s) with a list = %v", tt.redirect, got)
		}
		if got := SelectAccount(dynamic, tt.redirect); got != tt.selectAccount {
			t.Errorf("SelectAccount(%s) = %v", tt.redirect, got)
		}
		if got := Automatic(Rules{}, static, tt.redirect); got != static.Redirects(tt.redirect) {
			t.Errorf("static: Automatic(%s) = %v", tt.redirect, got)
		}
		if SelectAccount(static, tt.redirect) {
			t.Errorf("static: SelectAccount(%s)", tt.redirect)
		}
	}
}
