// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// forwarded are the identity headers of every resource.
var forwarded = []string{"X-User-Email", "X-User-Name"}

// evil is in the value of every identity header that a client made up.
const evil = "evil-identity"

// check holds what came of a request against the property and returns what is wrong.
func check(s *site, r *request, a answer, seen []arrival) (wrong []string) {
	for _, at := range seen {
		wrong = append(wrong, checkArrival(r, at)...)
		if at.site.layout.issuer == "plain" && isEndpoint(at.target) && slices.Contains(values(at.fields, "Host"), s.authority()) {
			wrong = append(wrong, "reached the backend at an endpoint of the authorization server: "+at.target)
		}
	}
	wrong = append(wrong, checkAnswer(s, r, a, seen)...)
	if !r.honest {
		return wrong
	}
	switch {
	case s.name == "gone":
		if a.status != http.StatusBadGateway {
			wrong = append(wrong, fmt.Sprintf("honest, and answered %d instead of 502", a.status))
		}
	case len(seen) != 1 || seen[0].site != s || a.status != http.StatusOK:
		wrong = append(wrong, fmt.Sprintf("honest, and answered %d after %d arrivals", a.status, len(seen)))
	}
	return wrong
}

// guards tells whether the backend serves a target as the resource.
func (s *site) guards(target string) bool { return !s.open || leadsTo(target, s.path) }

func isEndpoint(target string) bool {
	for _, e := range []string{"/oauth/token", "/oauth/login", "/oauth/callback", "/oauth/authorize", "/oauth/register", "/.well-known/oauth-"} {
		if leadsTo(target, e) {
			return true
		}
	}
	return false
}

// checkArrival checks what the backend may take for a request to its resource.
func checkArrival(r *request, a arrival) (wrong []string) {
	if !a.site.guards(a.target) || a.site.name == "errors" && beforeRoutes(r) {
		return nil
	}
	no := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, why := range forbids(r, a.site) {
		no("reached the backend of %s as %s %s: %s", a.site.name, a.method, a.target, why)
	}
	if err := a.site.checkJWT(values(a.fields, "Authorization")); err != "" {
		no("the backend of %s got %s", a.site.name, err)
	}
	for _, prefix := range []string{"mcpo_at_", "mcpo_rt_", "mcpo_ac_"} {
		if strings.Contains(a.raw, prefix) {
			no("the backend sees a token of the client (J06): %s", lineWith(a.raw, prefix))
		}
		if strings.Contains(a.body, prefix) && !strings.Contains(r.body, prefix) {
			no("the backend sees a token of the client in the body (J06)")
		}
	}
	if got := values(a.fields, "X-User-Name"); len(got) != 1 || got[0] != "anna@contoso.example" {
		no("the backend got X-User-Name %q", got)
	}
	for _, f := range a.fields {
		if why := badField(f); why != "" {
			no("%s: %s: %s", why, f.name, f.value)
		}
	}
	return wrong
}

// beforeRoutes tells that the web server refuses a request before any handler sees it. It
// runs the error routes all the same, so a site whose error routes use a backend has to
// match there on what the guard let through, as the layout "careful" does.
func beforeRoutes(r *request) bool { return len(r.method) > 32 || !httpguts.ValidHostHeader(r.host) }

// badField tells why a backend must not see a header line.
func badField(f field) string {
	name := canonical(f.name)
	switch {
	case name == "authorization" && !strings.EqualFold(f.name, "Authorization"):
		return "an alias of Authorization (J02)"
	case slices.ContainsFunc(forwarded, func(h string) bool { return canonical(h) == name }) &&
		(strings.Contains(f.value, evil) || !slices.Contains(forwarded, f.name)):
		return "an identity header that the client made (J01, J02)"
	case name == "proxy-authorization", name == "proxy", name == "http2-settings":
		return "a header for the proxy"
	case name == "upgrade" && strings.Contains(strings.ToLower(f.value), "h2c"):
		return "an upgrade to h2c (J13)"
	case name == "cookie":
		for pair := range strings.SplitSeq(f.value, ";") {
			pair = strings.ToLower(strings.Trim(pair, " \t="))
			if strings.HasPrefix(pair, "__host-mcpo_") || strings.HasPrefix(pair, "mcpo_dev_") {
				return "a cookie of ours (J07)"
			}
		}
	}
	return ""
}

// canonical is the form that CGI, WSGI and PHP give to a name.
func canonical(name string) string {
	return strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			return c
		case 'A' <= c && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, name), "-")
}

// checkJWT tells what is wrong with the credential that a backend got.
func (s *site) checkJWT(lines []string) string {
	if len(lines) != 1 {
		return fmt.Sprintf("%d Authorization headers (J03, J06)", len(lines))
	}
	token, ok := strings.CutPrefix(lines[0], "Bearer ")
	parts := strings.Split(token, ".")
	if !ok || len(parts) != 3 {
		return fmt.Sprintf("%.60q instead of a JWT (J06)", lines[0])
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Iss, Aud, Sub string }
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Iss != s.issuer || claims.Aud != s.resource() || claims.Sub == "" {
		return fmt.Sprintf("a JWT with %s instead of iss %s and aud %s (H04)", raw, s.issuer, s.resource())
	}
	return ""
}

func lineWith(text, part string) string {
	for line := range strings.SplitSeq(text, "\r\n") {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}
