// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"net/http"
	"strings"
	"unicode"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
)

// resourceVar is the variable by which a site can match what the guard let through.
const resourceVar = "mcp_oauth.resource"

// userPlaceholders are what later handlers may use of a person.
var userPlaceholders = []string{"id", "client_id", "name", "preferred_username", "email"}

// clearResource removes the variable, which the guard alone may set.
func clearResource(r *http.Request) {
	if caddyhttp.GetVar(r.Context(), resourceVar) != nil {
		caddyhttp.SetVar(r.Context(), resourceVar, nil)
	}
}

// clearUser removes what an outer handler may have said about the person, so that a
// refused request has no identity. Requests that are not ours keep theirs.
func clearUser(r *http.Request) {
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if repl == nil {
		return
	}
	for _, p := range userPlaceholders {
		repl.Delete("http.auth.user." + p)
	}
}

// setUser publishes who the request is from: placeholders, the variable by which a site
// can match the resource, and fields of the access log.
func setUser(r *http.Request, pass *guard.Pass) {
	a := pass.Access
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.auth.user.id", headerText(a.Person.Subject))
		repl.Set("http.auth.user.client_id", headerText(a.Client))
		repl.Set("http.auth.user.name", headerText(a.Person.Name))
		repl.Set("http.auth.user.preferred_username", headerText(a.Person.PreferredUsername))
		if a.Person.EmailVerified {
			repl.Set("http.auth.user.email", headerText(a.Person.Email))
		}
	}
	caddyhttp.SetVar(r.Context(), resourceVar, pass.Resource.URL)
	if extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(zap.String("mcp_client_id", a.Client))
		extra.Add(zap.String("mcp_resource", pass.Resource.URL))
	}
}

// headerText is text as a header may carry it: a control character would be refused by
// the proxy, and the person locked out by a name.
func headerText(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, text)
}
