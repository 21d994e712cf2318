// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// forbids lists why a request, as it was sent, must not reach the backend of s.
func forbids(r *request, s *site) (reasons []string) {
	no := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	if why := credential(r, s); why != "" {
		no("%s", why)
	}
	origins := values(r.fields, "Origin")
	if len(origins) > 1 || len(origins) == 1 && !s.allows(strings.Trim(origins[0], " \t")) {
		no("the Origin %q is foreign (J09)", origins)
	}
	if r.method == http.MethodOptions && len(origins) > 0 && r.has("Access-Control-Request-Method") {
		no("it is a preflight")
	}
	switch r.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
	default:
		// RFC 8470 §5.1: "Multiple or invalid instances of the header field MUST be treated as
		// equivalent to a single instance with a value of 1 by a server."
		if r.has("Early-Data") {
			no("it came as early data (J10)")
		}
	}
	if why := badQuery(r.target); why != "" {
		no("%s", why)
	}
	return reasons
}

// folded is how a header line goes on in the next one (RFC 9112 §5.2).
var folded = regexp.MustCompile(`\r?\n[ \t]+`)

// credential tells what is wrong with the Authorization header (RFC 6750 §2.1), "" where
// it bears the one valid token.
func credential(r *request, s *site) string {
	lines := values(r.fields, "Authorization")
	if len(lines) != 1 {
		return fmt.Sprintf("%d Authorization headers (H15)", len(lines))
	}
	scheme, token, _ := strings.Cut(strings.Trim(folded.ReplaceAllString(lines[0], " "), " \t"), " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "no Bearer token (H15)"
	case token != s.tokens["valid"]:
		return "no valid token for " + s.resource() + " (H01)"
	}
	return ""
}

func badQuery(target string) string {
	_, raw, _ := strings.Cut(target, "?")
	q, err := url.ParseQuery(raw)
	if err != nil {
		return "the query is malformed (J14)"
	}
	for name := range q {
		if strings.EqualFold(name, "access_token") {
			return "a token in the query (J12)"
		}
	}
	return ""
}

// allows tells whether pages of that origin may use the resource.
func (s *site) allows(origin string) bool {
	if strings.EqualFold(origin, s.origin) || origin == "https://friend.test" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	switch strings.ToLower(u.Hostname()) {
	case "localhost", "127.0.0.1", "::1":
		return true
	}
	return false
}
