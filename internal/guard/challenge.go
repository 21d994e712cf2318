// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/route"
)

// challenge is the value of WWW-Authenticate (RFC 6750 §3, RFC 9728 §5.1). The same
// refusal gives the same bytes: some clients compare them to notice that they go round
// in circles. No value has a comma or a quote, because some clients split there without
// parsing.
func (t *Target) challenge(slash bool, no *refusal) string {
	start := t.challenges[0]
	if slash {
		start = t.challenges[1]
	}
	if len(no.granted) > 0 {
		start = challengeStart(t.Resource, slash, no.granted)
	}
	if no.silent {
		return start
	}
	return start + `, error="` + string(no.err.Code) + `", error_description="` + quotable(no.err.Description) + `"`
}

// challengeStart is what a challenge of a resource begins with.
func challengeStart(r *policy.Resource, slash bool, granted oauth.Scopes) string {
	start := `Bearer resource_metadata="` + route.MetadataURL(r, slash) + `"`
	if s := challengeScopes(r, granted); s != "" {
		start += `, scope="` + s + `"`
	}
	return start
}

// challengeScopes are what the client should ask for: what the resource needs, and after
// insufficient_scope also what the token has, since many clients replace their scopes by
// those of the challenge. MCP authorization: servers SHOULD NOT include offline_access.
func challengeScopes(r *policy.Resource, granted oauth.Scopes) string {
	var out []string
	for _, s := range granted.Union(r.Scopes) {
		// A scope may contain a comma (RFC 6749 §3.3), but not in here.
		if s != oauth.OfflineAccess && oauth.ValidScope(s) && !strings.Contains(s, ",") {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

// quotable drops what must not be between quotes.
func quotable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == ',' {
			return -1
		}
		return c
	}, s)
}
