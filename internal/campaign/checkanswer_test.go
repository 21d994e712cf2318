// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// checkAnswer holds the answer to what clients rely on.
func checkAnswer(s *site, r *request, a answer, seen []arrival) (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if r.want != 0 && a.status != r.want {
		bad("answered %d instead of %d", a.status, r.want)
	}
	if a.status >= 500 && !mayFail(s, r, a.status) {
		bad("answered %d", a.status)
	}
	for _, at := range seen {
		// What is nobody's resource, and what an error route fetches, is not the handler's.
		if !at.site.guards(at.target) || slices.Contains([]string{"errors", "careful"}, at.site.name) {
			return wrong
		}
	}
	challenges := values(a.fields, "WWW-Authenticate")
	switch {
	case a.status == http.StatusUnauthorized && (len(challenges) != 1 || !strings.HasPrefix(challenges[0], `Bearer resource_metadata="`)):
		bad("answered 401 with the challenges %q", challenges)
	case a.status == http.StatusUnauthorized && r.presents() != unsure && strings.Contains(challenges[0], "error=") != (r.presents() == yes):
		bad("answered 401 with the challenge %q (H16)", challenges[0])
	case a.status == http.StatusForbidden && len(challenges) > 0 && !strings.Contains(challenges[0], `error="insufficient_scope"`):
		bad("answered 403 with the challenge %q (H16)", challenges[0])
	case a.status/100 != 4 && len(challenges) > 0:
		bad("answered %d with the challenges %q", a.status, challenges)
	}
	for _, f := range a.fields {
		name := strings.ToLower(f.name)
		switch {
		case strings.Contains(f.value, "planted") && (a.status == http.StatusOK || name != "set-cookie"):
			bad("the answer has what the backend planted (J07, J08): %s: %s", f.name, f.value)
		case strings.Contains(f.value, "mcpo_at_"):
			bad("the answer shows a token: %s: %s", f.name, f.value)
		case name == "access-control-allow-credentials":
			bad("the answer allows credentials")
		case name == "access-control-allow-origin" && strings.Contains(f.value, "evil"):
			bad("the answer allows %s", f.value)
		}
	}
	return wrong
}

type answers int

const (
	no answers = iota
	yes
	unsure
)

// presents tells whether a request bears what is meant to be a token. RFC 6750 §3.1: one
// without "SHOULD NOT include an error code or other error information" in the answer.
// About white space around the value the protocols differ.
func (r *request) presents() answers {
	lines := values(r.fields, "Authorization")
	if len(lines) == 0 {
		return no
	}
	if lines[0] != strings.TrimSpace(lines[0]) {
		return unsure
	}
	scheme, token, _ := strings.Cut(folded.ReplaceAllString(lines[0], " "), " ")
	if strings.EqualFold(scheme, "Bearer") && token != "" {
		return yes
	}
	return no
}

// mayFail tells which answers above 499 are right: nobody listens behind the site, or the
// request is in a form that the server of net/http answers so before any handler.
func mayFail(s *site, r *request, status int) bool {
	switch status {
	case http.StatusBadGateway:
		// Or the body ended before its time; or the proxy cannot write the method; or a second
		// handler of ours refuses the JWT that the first one made.
		return s.name == "stripped" || s.name == "gone" || strings.HasPrefix(r.host, "gone.") || r.odd() || strings.ContainsAny(r.method, " \x00*")
	case http.StatusServiceUnavailable:
		// The client hangs up half of such a connection, which ends the look-up.
		return r.odd()
	case http.StatusNotImplemented:
		return r.has("Transfer-Encoding")
	case http.StatusHTTPVersionNotSupported:
		return strings.Contains(r.method+r.target, " ") || strings.ContainsAny(r.target, "\r\n\t")
	}
	return false
}
