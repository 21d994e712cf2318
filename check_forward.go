// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// checkAudience checks the aud of a JWT. RFC 7519 §2: a StringOrURI with a colon "MUST be
// a URI"; without one, a mistyped URL would be taken for a name.
func checkAudience(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Scheme == "" || u.Fragment != "" || u.Opaque == "" && u.Host == "" || strings.ContainsFunc(v, notGraphic) {
		return fmt.Errorf("%q is not an audience: write the absolute URI that the MCP server expects as aud, such as api://payroll", v)
	}
	return nil
}

// reservedHeaders belong to the connection, to the protocol between client and server, or
// to the web server: a claim there would break or forge what they say.
var reservedHeaders = []string{
	"Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type",
	"Cookie", "Dpop", "Early-Data", "Expect", "Forwarded", "Host", "Keep-Alive", "Last-Event-Id", "Origin",
	"Proxy", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via",
}

// reservedPrefixes are families of such headers.
var reservedPrefixes = []string{"Mcp-", "X-Forwarded-", "Sec-", "Access-Control-"}

func checkHeaderName(v string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if v == "" || len(v) > maxText || strings.Trim(v, letters+"0123456789-") != "" || strings.Trim(v, "-") != v ||
		!strings.Contains(letters, v[:1]) {
		return fmt.Errorf("%q is not a header for a claim: write letters, digits and hyphens, such as X-User-Email", v)
	}
	name := http.CanonicalHeaderKey(v)
	if slices.Contains(reservedHeaders, name) || slices.ContainsFunc(reservedPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
		return fmt.Errorf("%q has a meaning of its own: write another name, such as X-User-Email", v)
	}
	return nil
}

func checkClaim(v string) error {
	if slices.Contains(policy.Claims, policy.Claim(v)) {
		return nil
	}
	var names []string
	for _, c := range policy.Claims {
		names = append(names, string(c))
	}
	return fmt.Errorf("%q is not a claim that can be forwarded: write one of %s", v, joined(names))
}

// checkForward refuses a header that would have two values.
func checkForward(p *policy.Policy) error {
	for _, r := range p.Resources {
		var names []string
		for _, h := range r.Forward {
			names = append(names, h.Name)
		}
		if twice := firstTwice(names); twice != "" {
			return fmt.Errorf("resource %s: forward: header %s is written twice: keep one of them", r.URL, twice)
		}
	}
	return nil
}
