// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// BasicChallenge is the WWW-Authenticate value of a 401 at the token endpoint.
const BasicChallenge = `Basic realm="token", charset="UTF-8"`

// UsedBasic tells whether a request tried HTTP Basic authentication. RFC 6749 §5.2: "If
// the client attempted to authenticate via the "Authorization" request header field, the
// authorization server MUST respond with an HTTP 401 ... and include the
// "WWW-Authenticate" response header field matching the authentication scheme".
func UsedBasic(r *http.Request) bool {
	return slices.ContainsFunc(r.Header.Values("Authorization"), func(h string) bool {
		scheme, _, _ := strings.Cut(h, " ")
		return strings.EqualFold(scheme, "Basic")
	})
}

// credentials are the readings of what a request says about its client. There is more
// than one where Basic was used, because RFC 6749 §2.3.1 wants id and secret urlencoded
// in it and many clients send them as they are.
type credentials struct {
	ids     []string
	secrets []string // never empty strings: an empty secret is no secret
}

var (
	errBadBasic    = oauth.New(oauth.InvalidClient, "The Authorization header is malformed.")
	errNoClient    = oauth.New(oauth.InvalidClient, "The request names no client.")
	errTwoMethods  = oauth.New(oauth.InvalidRequest, "The request authenticates the client twice, and differently.")
	errNoAssertion = oauth.New(oauth.InvalidClient, "Client assertions are not offered here.")
)

// credentialsOf reads the Authorization header and the form.
func credentialsOf(r *http.Request, form url.Values) (credentials, error) {
	if form.Get("client_assertion") != "" || form.Get("client_assertion_type") != "" {
		return credentials{}, errNoAssertion
	}
	c, err := basicOf(r.Header.Values("Authorization"))
	if err != nil {
		return credentials{}, err
	}
	// RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in
	// each request." Clients that send the same twice do no harm.
	if !merge(&c.ids, form.Get("client_id")) || !merge(&c.secrets, form.Get("client_secret")) {
		return credentials{}, errTwoMethods
	}
	if len(c.ids) == 0 {
		return credentials{}, errNoClient
	}
	return c, nil
}

// merge settles the readings of the header on the value of the form, which has one
// reading alone. It is false where they differ; an empty value is as good as absent.
func merge(readings *[]string, value string) bool {
	if value == "" {
		return true
	}
	if len(*readings) > 0 && !slices.Contains(*readings, value) {
		return false
	}
	*readings = []string{value}
	return true
}

// basicOf reads HTTP Basic credentials (RFC 7617). Another scheme is no client
// authentication and is ignored; empty credentials are none.
func basicOf(headers []string) (credentials, error) {
	if len(headers) > 1 {
		return credentials{}, errBadBasic
	}
	if len(headers) == 0 {
		return credentials{}, nil
	}
	scheme, encoded, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return credentials{}, nil
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	id, sec, found := strings.Cut(string(raw), ":")
	if err != nil || !found || !utf8.Valid(raw) || id == "" && sec != "" {
		return credentials{}, errBadBasic
	}
	return credentials{ids: readings(id), secrets: readings(sec)}, nil
}

// readings returns s urldecoded and as it is.
func readings(s string) []string {
	if s == "" {
		return nil
	}
	decoded, err := url.QueryUnescape(s)
	if err != nil || decoded == s || decoded == "" || !utf8.ValidString(decoded) {
		return []string{s}
	}
	return []string{decoded, s}
}
