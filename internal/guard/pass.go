// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// Pass is the permission for one request.
type Pass struct {
	// Access is what the token stands for.
	Access *Access
	// Resource is where the request goes.
	Resource *policy.Resource

	authorization string
	origin        string
	guard         *Guard
}

// Apply prepares the request for the backend. MCP authorization: the server "MUST NOT
// pass through the token it received from the MCP client". Everything else, the query
// included, stays as it was sent.
func (p *Pass) Apply(r *http.Request) {
	h := r.Header
	for name := range h {
		if isAlias(name, "Authorization") {
			delete(h, name)
		}
	}
	// RFC 9110 §11.7: these are for the first proxy, which this is. Proxy is none at all
	// but becomes HTTP_PROXY in CGI.
	delete(h, "Proxy-Authorization")
	delete(h, "Proxy-Connection")
	delete(h, "Proxy")
	delete(h, "Keep-Alive")
	sanitizeConnection(h)
	stripCookies(h)
	// A new slice for each request: later handlers may change values in place.
	h["Authorization"] = []string{p.authorization}
}

// isAlias tells whether software that maps header names to variables could take name for
// canonical although it is another name: X_User and X.User become what X-User becomes.
func isAlias(name, canonical string) bool {
	if len(name) < len(canonical) || name == canonical {
		return false
	}
	name = strings.TrimFunc(name, func(c rune) bool { return c < 0x80 && separator(byte(c)) })
	if len(name) != len(canonical) {
		return false
	}
	for i := range len(name) {
		a, b := name[i], canonical[i]
		if separator(a) && separator(b) {
			continue
		}
		if lower(a) != lower(b) {
			return false
		}
	}
	return true
}

func separator(c byte) bool {
	return (lower(c) < 'a' || lower(c) > 'z') && (c < '0' || c > '9')
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// sanitizeConnection keeps the options that are about the connection itself. RFC 9110
// §7.6.1 has proxies remove every field that Connection names; a client that names
// Authorization would have the proxy remove the header that Apply has just set.
func sanitizeConnection(h http.Header) {
	keep(h, "Connection", func(option string) bool {
		return strings.EqualFold(option, "keep-alive") || strings.EqualFold(option, "close") || strings.EqualFold(option, "upgrade")
	})
	keep(h, "Te", func(coding string) bool { return strings.EqualFold(coding, "trailers") })
}

// keep leaves those items of a list header that ok accepts.
func keep(h http.Header, name string, ok func(string) bool) {
	var kept []string
	whole := true
	for _, v := range h[name] {
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); ok(item) {
				kept = append(kept, item)
			} else {
				whole = false
			}
		}
	}
	switch {
	case whole:
	case len(kept) == 0:
		delete(h, name)
	default:
		h[name] = []string{strings.Join(kept, ", ")}
	}
}
