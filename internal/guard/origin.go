// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// CheckOrigin lets requests through that come from no page, from a page of the resource's
// own origin, of this machine, or of a configured origin. Everything else is a definite
// no, 403 (MCP transports: "If the Origin header is present and invalid, servers MUST
// respond with HTTP 403 Forbidden").
func CheckOrigin(r *http.Request, res *policy.Resource) error {
	values := r.Header["Origin"]
	if len(values) == 0 {
		return nil
	}
	if len(values) == 1 && originAllowed(values[0], res) {
		return nil
	}
	return errOrigin
}

func originAllowed(origin string, res *policy.Resource) bool {
	return strings.EqualFold(origin, res.Origin) || slices.Contains(res.AllowedOrigins, origin) || isLoopback(origin)
}

// isLoopback tells whether origin is a web origin on this machine, where development
// tools such as the MCP Inspector live.
func isLoopback(origin string) bool {
	host, ok := strings.CutPrefix(origin, "http://")
	if !ok {
		host, ok = strings.CutPrefix(origin, "https://")
	}
	return ok && oauth.IsLoopbackHost(host)
}

// preflightHeaders are those that MCP clients send. A wildcard would not do: Fetch says
// that * does not cover Authorization.
var preflightHeaders = []string{
	"authorization", "content-type", "accept", "last-event-id", "mcp-protocol-version", "dpop",
}

const (
	preflightMethods = "GET, HEAD, POST, DELETE, OPTIONS"
	exposedHeaders   = "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version"
)

// Preflight answers a CORS preflight (Fetch §3.2.2) for a resource and tells whether it
// did. Browsers send no token with it, so it comes before the guard; it never reaches the
// backend. One from an origin that may not use the resource is left to Admit, which
// refuses it.
func Preflight(w http.ResponseWriter, r *http.Request, res *policy.Resource) bool {
	if r.Method != http.MethodOptions {
		return false
	}
	origin := r.Header.Get("Origin")
	if r.Header.Get("Access-Control-Request-Method") == "" || origin == "" || CheckOrigin(r, res) != nil {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Methods", preflightMethods)
	if names := acceptable(r.Header["Access-Control-Request-Headers"]); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	h.Set("Access-Control-Max-Age", "600")
	addVary(h, "Origin")
	addVary(h, "Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// acceptable are the requested header names that a preflight grants.
func acceptable(lists []string) string {
	var out []string
	for name := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		name = strings.TrimSpace(name)
		lower := strings.ToLower(name)
		if slices.Contains(preflightHeaders, lower) || strings.HasPrefix(lower, "mcp-") && fieldName(lower) {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

func fieldName(lower string) bool {
	return strings.IndexFunc(lower, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-'
	}) < 0
}

// allowOrigin replaces whatever CORS headers there are by ours. Credentials are never
// allowed: the token is in a header that the page sets itself.
func allowOrigin(h http.Header, origin string) {
	for name := range h {
		if isCORS(name) {
			delete(h, name)
		}
	}
	if origin == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
}

func isCORS(name string) bool { return strings.HasPrefix(name, "Access-Control-") }

// varies are the headers of a request by which every answer of a resource differs.
const varies = "Origin, Authorization"

// addVaries adds them to what Vary has.
func addVaries(h http.Header) {
	addVary(h, "Origin")
	addVary(h, "Authorization")
}

// addVary adds one name to Vary.
func addVary(h http.Header, name string) {
	for _, v := range h["Vary"] {
		for have := range strings.SplitSeq(v, ",") {
			if have = strings.TrimSpace(have); have == "*" || strings.EqualFold(have, name) {
				return
			}
		}
	}
	h.Add("Vary", name)
}
