// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"slices"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// The list is written down once more: a slip in a target would trust somebody else's, or
// greet the people of a product by another name.
func TestWellKnownTargets(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"https://claude.ai/api/mcp/auth_callback":                                "Claude",
		"https://claude.com/api/mcp/auth_callback":                               "Claude",
		"claude://claude.ai/mcp-auth-callback/sdk":                               "Claude Code",
		"https://chatgpt.com/connector_platform_oauth_redirect":                  "ChatGPT",
		"https://chatgpt.com/connector/oauth/abc-123_x":                          "ChatGPT",
		"cursor://anysphere.cursor-mcp/oauth/callback":                           "Cursor",
		"https://www.cursor.com/agents/mcp/oauth/callback":                       "Cursor",
		"https://vscode.dev/redirect":                                            "Visual Studio Code",
		"https://insiders.vscode.dev/redirect":                                   "Visual Studio Code Insiders",
		"https://antigravity.google/oauth-callback":                              "Antigravity",
		"https://oauth-redirect.googleusercontent.com/r/user_bound_custom-mcp-1": "Gemini",
		"https://global.consent.azure-apim.net/redirect/new-5fmcp-2fserver":      "Microsoft Copilot Studio",
		"https://grok.com/connectors-oauth-exchange-code/":                       "Grok",
		"https://console.x.ai/connectors-oauth-exchange-code/":                   "Grok",
		"https://www.perplexity.ai/rest/connections/oauth_callback":              "Perplexity",
		"https://enterprise.perplexity.ai/rest/connections/oauth_callback":       "Perplexity",
		"https://callback.mistral.ai/v1/integrations_auth/oauth2_callback":       "Le Chat",
		"https://api.devin.ai/mcp/oauth/callback":                                "Devin",
	}
	for uri, name := range want {
		if got := WellKnown(uri); got != name {
			t.Errorf("WellKnown(%q) = %q, want %q", uri, got, name)
		}
	}
	if len(want) != len(wellKnownRedirects) {
		t.Errorf("%d targets, %d of them here", len(wellKnownRedirects), len(want))
	}
	// Characters of an id alone are no target.
	for _, uri := range []string{"abc", "-", "claude", "https"} {
		if got := WellKnown(uri); got != "" {
			t.Errorf("WellKnown(%q) = %q", uri, got)
		}
	}
}

// A listed host trusts what is on that host over https, not an app that uses its name.
func TestAutomaticNeedsHTTPS(t *testing.T) {
	t.Parallel()
	const app = "com.example.app://partner.example/cb"
	if Automatic(Rules{RedirectHosts: []string{"partner.example"}}, &Client{RedirectURIs: []string{app}}, app) {
		t.Error("an app is taken for the listed host")
	}
}

// Rules that got stricter, or a record that was tampered with, leave no redirect URI that
// could not be registered today.
func TestSec_B03_StoredRedirectsAreCheckedAgain(t *testing.T) {
	t.Parallel()
	rec := &vault.Record[record]{}
	r := record{
		Redirects: []string{"javascript:alert(1)", "https://a.example/cb", "http://b.example/cb", "", "https://b.example/cb"}, Grants: []string{GrantCode}, Created: 1795435200,
	}
	for _, tt := range []struct {
		hosts []string
		want  []string
	}{
		{nil, []string{"https://a.example/cb", "https://b.example/cb"}},
		{[]string{"b.example"}, []string{"https://b.example/cb"}},
		{[]string{"c.example", ""}, nil},
	} {
		c := r.client("id", Rules{RedirectHosts: tt.hosts}, rec)
		if !slices.Equal(c.RedirectURIs, tt.want) {
			t.Errorf("with the hosts %q: %q", tt.hosts, c.RedirectURIs)
		}
		if want := time.Unix(1795435200, 0).UTC(); !c.Created.Equal(want) {
			t.Errorf("created %v, want %v", c.Created, want)
		}
	}
}

// Each refused URI is refused for its own reason; the last one is told.
func TestAcceptRedirectsSaysWhy(t *testing.T) {
	t.Parallel()
	listed := Rules{RedirectHosts: []string{"a.example"}}
	for _, tt := range []struct {
		uris []string
		want string
	}{
		{[]string{"javascript:alert(1)"}, "A redirect URI is not acceptable: it must be absolute, with scheme and host."},
		{[]string{"https://a.example/cb?code=1"}, "A redirect URI is not acceptable: its query has a parameter that the answer sets itself."},
		{[]string{"https://b.example/cb"}, "The host of the redirect URI is not allowed here."},
		{[]string{"javascript:alert(1)", "https://b.example/cb"}, "The host of the redirect URI is not allowed here."},
	} {
		got, err := acceptRedirects(listed, tt.uris)
		if e := oauth.AsError(err); got != nil || e == nil || e.Code != oauth.InvalidRedirectURI || e.Description != tt.want {
			t.Errorf("acceptRedirects(%q) = %q, %v", tt.uris, got, err)
		}
	}
	got, err := acceptRedirects(listed, []string{"https://a.example/1", "https://b.example/", "https://a.example/2", "https://a.example/1"})
	if want := []string{"https://a.example/1", "https://a.example/2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("accepted %q, %v", got, err)
	}
}
