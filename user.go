// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
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
var userPlaceholders = []string{
	"http.auth.user.id", "http.auth.user.client_id", "http.auth.user.name",
	"http.auth.user.preferred_username", "http.auth.user.email",
}

// clearResource removes the variable, which the guard alone may set.
func clearResource(r *http.Request) {
	if vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any); ok {
		delete(vars, resourceVar)
	}
}

// clearUser removes what an outer handler may have said about the person, so that a
// refused request has no identity. Requests that are not ours keep theirs.
func clearUser(repl *caddy.Replacer) {
	if repl == nil {
		return
	}
	for _, p := range userPlaceholders {
		repl.Delete(p)
	}
}

func replacerOf(r *http.Request) *caddy.Replacer {
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	return repl
}

// setUser publishes who the request is from: placeholders, the variable by which a site
// can match the resource, and fields of the access log.
func (in *instance) setUser(r *http.Request, repl *caddy.Replacer, pass *guard.Pass) {
	if repl != nil {
		// A text that nobody asks for is never made.
		repl.Map(user{pass}.placeholder)
	}
	ctx := r.Context()
	caddyhttp.SetVar(ctx, resourceVar, in.resourceVars[pass.Resource()])
	if logsAccess(ctx) {
		addLogFields(ctx, zap.String("mcp_client_id", pass.Client()), zap.String("mcp_resource", pass.Resource()))
	}
}

// user is the person behind a request, for placeholders.
type user struct{ pass *guard.Pass }

// placeholder implements caddy.ReplacerFunc.
func (u user) placeholder(key string) (any, bool) {
	switch key {
	case "http.auth.user.id":
		return headerText(u.pass.Subject()), true
	case "http.auth.user.client_id":
		return headerText(u.pass.Client()), true
	case "http.auth.user.name":
		return headerText(u.pass.Name()), true
	case "http.auth.user.preferred_username":
		return headerText(u.pass.PreferredUsername()), true
	case "http.auth.user.email":
		email := u.pass.Email()
		return headerText(email), email != ""
	}
	return nil, false
}

// logsAccess tells whether the web server writes access logs at all: the fields of a line
// that nobody writes cost nothing.
func logsAccess(ctx context.Context) bool {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return ok && server != nil && server.Logs != nil
}

// addLogFields adds fields to the request's line in the access log.
func addLogFields(ctx context.Context, fields ...zap.Field) {
	extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	for _, f := range fields {
		extra.Add(f)
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
