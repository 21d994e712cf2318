// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/url"
	"slices"
	"strings"
)

// MaxRedirectURI is the longest redirect URI in bytes.
const MaxRedirectURI = 2 << 10

// privateSchemes are private-use URI schemes without a dot that are accepted because a
// well-known MCP client uses them. RFC 8252 §7.1 wants a dot in such schemes, which keeps
// out javascript, data, file, intent and whatever else an operating system gives meaning.
var privateSchemes = []string{"claude", "cursor", "vscode", "vscode-insiders"}

// reservedParams are what an authorization response adds to the redirect URI (RFC 6749
// §4.1.2, RFC 9207 §2); a URI that brings its own would let its owner forge them.
var reservedParams = []string{"code", "state", "iss", "error", "error_description", "error_uri", "response"}

// CheckRedirectURI tells why uri cannot be a redirect URI, as an *Error with
// invalid_redirect_uri (RFC 7591 §3.2.2), or returns nil. Accepted are https, http on
// loopback, and private-use schemes (RFC 8252 §7.1) that have a dot or are well known.
func CheckRedirectURI(uri string) error {
	if reason := redirectFault(uri); reason != "" {
		return New(InvalidRedirectURI, "A redirect URI is not acceptable: "+reason+".")
	}
	return nil
}

func redirectFault(s string) string {
	if s == "" {
		return "it is empty"
	}
	if len(s) > MaxRedirectURI {
		return "it is longer than 2048 bytes"
	}
	u, err := parseURI(s)
	if err != nil {
		return err.Error()
	}
	if fault := schemeFault(u); fault != "" {
		return fault
	}
	return queryFault(u.query)
}

func schemeFault(u uri) string {
	switch {
	case u.scheme == "https":
		if u.host == "" {
			return "it has no host"
		}
	case u.scheme == "http":
		// MCP: "All redirect URIs MUST be either localhost or use HTTPS."
		if !isLoopback(u) {
			return "http is for localhost, 127.0.0.1 and [::1] alone"
		}
	case !strings.Contains(u.scheme, ".") && !slices.Contains(privateSchemes, u.scheme):
		return "its scheme must be https, or contain a dot as in com.example.app"
	}
	return ""
}

func queryFault(query string) string {
	params, err := url.ParseQuery(query)
	if err != nil {
		return "its query has broken encoding or a semicolon"
	}
	for name, values := range params {
		if slices.Contains(reservedParams, name) {
			return "its query has a parameter that the answer sets itself"
		}
		if hasControl(name) || slices.ContainsFunc(values, hasControl) {
			return "its query has an encoded control character"
		}
	}
	return ""
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// isLoopback compares bytes: other spellings of these hosts match nothing.
func isLoopback(u uri) bool {
	return u.host == "localhost" || u.host == "127.0.0.1" || u.host == "[::1]"
}

// MatchRedirect tells whether a client that registered one URI may use the requested one.
// MCP: "Authorization servers MUST validate exact redirect URIs against pre-registered
// values". The one exception is RFC 8252 §7.3: "The authorization server MUST allow any
// port to be specified at the time of the request for loopback IP redirect URIs"; it
// extends to localhost, which MCP clients use, and to nothing but the port: both must be
// http with the same one of the three hosts, and path and query byte for byte the same.
func MatchRedirect(registered, requested string) bool {
	if registered == requested {
		return requested != ""
	}
	a, ok := loopbackRedirect(registered)
	if !ok {
		return false
	}
	b, ok := loopbackRedirect(requested)
	return ok && a.host == b.host && a.rest == b.rest
}

func loopbackRedirect(s string) (uri, bool) {
	u, err := parseURI(s)
	return u, err == nil && strings.HasPrefix(s, "http://") && isLoopback(u)
}

// IsLoopbackRedirect tells whether uri is an http redirect to this machine, whose port
// does not count.
func IsLoopbackRedirect(uri string) bool {
	_, ok := loopbackRedirect(uri)
	return ok
}

// WithoutLoopbackPort returns uri without its port if it is a loopback redirect, else
// unchanged. Two URIs that MatchRedirect treats as one become equal.
func WithoutLoopbackPort(uri string) string {
	u, ok := loopbackRedirect(uri)
	if !ok {
		return uri
	}
	return "http://" + u.host + u.rest
}

// RedirectHost returns the scheme of uri and its host in lower case, with the port unless
// it is the default of https; both are "" where uri is no acceptable redirect URI.
func RedirectHost(uri string) (scheme, host string) {
	if CheckRedirectURI(uri) != nil {
		return "", ""
	}
	// What was just checked can be parsed.
	u, _ := parseURI(uri)
	host = strings.ToLower(u.host)
	if u.port != "" && (u.scheme != "https" || u.port != "443") {
		host += ":" + u.port
	}
	return u.scheme, host
}

// RedirectWith returns uri with params added. RFC 6749 §3.1.2: the query of the URI "MUST
// be retained when adding additional query parameters"; its bytes stay as they are. A
// space becomes %20, which native clients without form decoding understand too. uri must
// have passed CheckRedirectURI.
func RedirectWith(uri string, params url.Values) string {
	query := strings.ReplaceAll(params.Encode(), "+", "%20")
	switch {
	case query == "":
		return uri
	case !strings.Contains(uri, "?"):
		return uri + "?" + query
	case strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		return uri + query
	default:
		return uri + "&" + query
	}
}
