// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// wellKnown is a redirect target that belongs to a known product.
type wellKnown struct {
	name string
	// uri is matched whole, byte for byte.
	uri string
	// tail lets one path segment of letters, digits, "-" and "_" follow, where the
	// product appends an id. uri then holds the whole host and part of the path.
	tail bool
}

// wellKnownRedirects are the targets that MCP clients are known to use. To be listed
// means that an error may go there without a click and that nobody is asked to choose an
// account for it; it grants nothing else.
var wellKnownRedirects = []wellKnown{
	{name: "Claude", uri: "https://claude.ai/api/mcp/auth_callback"},
	{name: "Claude", uri: "https://claude.com/api/mcp/auth_callback"},
	{name: "Claude Code", uri: "claude://claude.ai/mcp-auth-callback/sdk"},
	{name: "ChatGPT", uri: "https://chatgpt.com/connector_platform_oauth_redirect"},
	{name: "ChatGPT", uri: "https://chatgpt.com/connector/oauth/", tail: true},
	{name: "Cursor", uri: "cursor://anysphere.cursor-mcp/oauth/callback"},
	{name: "Cursor", uri: "https://www.cursor.com/agents/mcp/oauth/callback"},
	{name: "Visual Studio Code", uri: "https://vscode.dev/redirect"},
	{name: "Visual Studio Code Insiders", uri: "https://insiders.vscode.dev/redirect"},
	{name: "Antigravity", uri: "https://antigravity.google/oauth-callback"},
	{name: "Gemini", uri: "https://oauth-redirect.googleusercontent.com/r/user_bound_custom-mcp-", tail: true},
	{name: "Microsoft Copilot Studio", uri: "https://global.consent.azure-apim.net/redirect/", tail: true},
	{name: "Grok", uri: "https://grok.com/connectors-oauth-exchange-code/"},
	{name: "Grok", uri: "https://console.x.ai/connectors-oauth-exchange-code/"},
	{name: "Perplexity", uri: "https://www.perplexity.ai/rest/connections/oauth_callback"},
	{name: "Perplexity", uri: "https://enterprise.perplexity.ai/rest/connections/oauth_callback"},
	{name: "Le Chat", uri: "https://callback.mistral.ai/v1/integrations_auth/oauth2_callback"},
	{name: "Devin", uri: "https://api.devin.ai/mcp/oauth/callback"},
}

func (k wellKnown) matches(redirect string) bool {
	rest, ok := strings.CutPrefix(redirect, k.uri)
	if !ok || !k.tail {
		return ok && rest == ""
	}
	return rest != "" && strings.Trim(rest, tailCharacters) == ""
}

const tailCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// WellKnown returns the name of the product that owns a redirect target, or "". Loopback
// targets belong to nobody.
func WellKnown(redirect string) string {
	for _, k := range wellKnownRedirects {
		if k.matches(redirect) {
			return k.name
		}
	}
	return ""
}

// Automatic tells whether an error may be sent to redirect before a person has done
// anything. MCP: an authorization server "SHOULD only automatically redirect the user
// agent if it trusts the redirection URI": that of a static client, a well-known one, one
// whose host the administrator lists, or this machine.
func Automatic(rules Rules, c *Client, redirect string) bool {
	if !c.Redirects(redirect) {
		return false
	}
	if c.Static || WellKnown(redirect) != "" || oauth.IsLoopbackRedirect(redirect) {
		return true
	}
	scheme, host := oauth.RedirectHost(redirect)
	return scheme == "https" && rules.listsHost(host)
}

// SelectAccount tells whether the provider should ask the person which account to use: a
// stranger's target must not be reached by a sign-in that nobody sees.
func SelectAccount(c *Client, redirect string) bool {
	return !c.Static && WellKnown(redirect) == ""
}
