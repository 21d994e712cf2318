// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// screen returns the token of a request, or refuses what no token could make good.
func screen(req Request) (string, error) {
	// MCP transports: "Servers MUST validate the Origin header on all incoming connections
	// to prevent DNS rebinding attacks".
	if err := CheckOrigin(req.HTTP, req.Target.Resource); err != nil {
		return "", err
	}
	if early(req.HTTP) {
		return "", errEarlyData
	}
	if err := checkQuery(req.HTTP.URL); err != nil {
		return "", err
	}
	return bearer(req.HTTP.Header)
}

// early tells whether an unsafe request could be a replay. RFC 8470 §3: safe methods may
// be processed in early data, others are left to the server to refuse with 425.
func early(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return oauth.EarlyData(r)
}

func checkQuery(u *url.URL) error {
	if u == nil || u.RawQuery == "" {
		return nil
	}
	// A query that parsers read differently could hide a parameter from one of them.
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errQuery
	}
	// MCP authorization: "Access tokens MUST NOT be included in the URI query string". Some
	// backends, such as ASP.NET, read names in any letter case.
	for name := range query {
		if strings.EqualFold(name, "access_token") {
			return errTokenInQuery
		}
	}
	return nil
}
