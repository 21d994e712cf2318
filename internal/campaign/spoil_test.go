// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// endpoint is what is sent to one: the genuine values, which are then spoilt.
type endpoint struct {
	path, method string
	params       map[string]string
	names        []string
}

var oauthEndpoints = []endpoint{
	{path: "/oauth/authorize", method: "GET", params: map[string]string{
		"response_type": "code", "client_id": "{client}", "redirect_uri": "{redirect}", "state": "xyz", "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
		"code_challenge_method": "S256", "resource": "{origin}/", "scope": "mcp notes", "prompt": "consent", "response_mode": "query", "request": "x", "request_uri": "urn:x",
	}},
	{path: "/oauth/login", method: "GET", params: map[string]string{"token": "{login}"}},
	{path: "/oauth/login/continue", method: "POST", params: map[string]string{"token": "{login}", "key": "{key}", "decision": "continue"}},
	{path: "/oauth/callback", method: "GET", params: map[string]string{"state": "{state}", "code": "upstream", "error": "access_denied", "error_description": "x", "iss": "{origin}"}},
	{path: "/oauth/token", method: "POST", params: map[string]string{
		"grant_type": "authorization_code", "code": "{code}", "client_id": "{client}", "client_secret": "s", "code_verifier": "{verifier}", "redirect_uri": "{redirect}", "resource": "{origin}/",
	}},
	{path: "/oauth/token", method: "POST", params: map[string]string{"grant_type": "refresh_token", "refresh_token": "{refresh}", "client_id": "{client}", "scope": "mcp", "resource": "{origin}/"}},
	{path: "/oauth/register", method: "POST"},
	{path: "/oauth/jwks", method: "GET"},
	{path: "/.well-known/oauth-protected-resource", method: "GET"},
	{path: "/.well-known/oauth-authorization-server/oauth", method: "GET"},
	{path: "/oauth/.well-known/openid-configuration", method: "GET"},
}

// nasty are values that have broken parsers, pages, logs and databases.
var nasty = []string{
	"", " ", "\x00", "%00", "\r\nSet-Cookie: hostile=1", "\r\n\r\n<html>", "<script>hostile()</script>", `"><img src=x onerror=hostile()>`, "javascript:hostile()", "../../../etc/passwd", `..\..\`,
	"{env.HOME}", "{http.request.uri}", "{{.Token}}", "${jndi:ldap://hostile}", "$(id)", "'; DROP TABLE clients; --", "\xff\xfe\xfd", "\xc0\xaf", "\xed\xa0\x80", "\u202ehostile", "\ufeff", "日本語",
	"null", "true", "-1", "1e309", "[]", "{}", "0", "999999999999999999999", "http://169.254.169.254/", "https://[::1", "http://127.0.0.1:99999/", "//hostile.test", "http://u:p@hostile.test/#f", "urn:x",
	"mcpo_at_" + strings.Repeat("A", 96), "mcpo_rt_" + strings.Repeat("A", 96), "mcpo_ac_" + strings.Repeat("_", 96), "dcr_" + strings.Repeat("A", 43), "{access}", "{refresh}", "{code}", "{state}", "{login}",
	"{client}", "{cookie}", strings.Repeat("A", 64), strings.Repeat("AQ", 3000), strings.Repeat("%", 100), strings.Repeat("hostile=1&", 50), "mcp mcp mcp", "offline_access", "openid", strings.Repeat("a ", 2000),
	"code", "authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer", "plain", "S256", "none", "login", "continue", "cancel", "https://client.test/metadata.json",
}

var contentTypes = []string{
	"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8", "application/json", "application/json;charset=utf-16", "text/plain", "multipart/form-data; boundary=x", "", "x", "/",
	"application/x-www-form-urlencoded, application/json", "application/json; =", strings.Repeat("a/", 2000), "application/xml", "application/jwt",
}

// oddHeaders are those that the endpoints look at, or that something on the way does.
var oddHeaders = []field{
	{"Authorization", "Basic QmFkOmNyZWRlbnRpYWxz"}, {"Authorization", "Basic ===="}, {"Authorization", "Basic " + strings.Repeat("QQ", 3000)}, {"Authorization", "Bearer {refresh}"}, {"Authorization", "\x00"},
	{"Cookie", "{cookie}"}, {"Cookie", "{cookie}; {cookie}"}, {"Cookie", strings.Repeat("__Host-mcpo_f_1=x; ", 400)}, {"Cookie", "=;=;;;\"\xff"}, {"Cookie", "__Host-mcpo_b_=" + strings.Repeat("A", 5000)},
	{"Origin", "{origin}"}, {"Origin", "null"}, {"Origin", "https://hostile.test"}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}, {"Sec-Fetch-Site", "hostile"},
	{"Accept", "application/json"}, {"Accept", strings.Repeat("text/html;q=0.1,", 500)}, {"Accept-Language", strings.Repeat("x-hostile,", 500)}, {"Accept-Language", "\xff"}, {"Content-Encoding", "gzip"}, {"Content-Encoding", "deflate, gzip"},
	{"Early-Data", "1"}, {"Expect", "100-continue"}, {"Expect", "hostile"}, {"X-HTTP-Method-Override", "DELETE"}, {"X-Forwarded-Proto", "hostile"}, {"X-Forwarded-Host", "hostile.test"}, {"X-Forwarded-For", "hostile"},
	{"If-None-Match", "*"}, {"If-None-Match", strings.Repeat(`"x",`, 1000)}, {"Range", "bytes=0-0,1-1,2-2"}, {"X-Null", "a\x00b"}, {"X-Split", "a\r\nX-Injected: hostile"}, {"X Bad", "name"}, {"", "no name"}, {"DPoP", "a.b.c"},
	{"Access-Control-Request-Method", "POST"}, {"Access-Control-Request-Headers", strings.Repeat("x,", 3000)}, {"Transfer-Encoding", "hostile"}, {"Content-Length", "-5"}, {"Content-Length", "99999999999999999999"},
}

// documents are client metadata as it was seen in the field.
var documents = sync.OnceValue(func() (all []string) {
	paths, _ := filepath.Glob("../clients/testdata/*.request.json")
	for _, p := range paths {
		if text, err := os.ReadFile(p); err == nil {
			all = append(all, string(text))
		}
	}
	return append(all, registration)
})

// spoil makes one request that no client sends.
func spoil(rng *rand.Rand, protocol string) *request {
	e := pick(rng, oauthEndpoints)
	r := &request{site: "root", method: e.method, target: e.path, host: "{host}"}
	if rng.IntN(12) == 0 {
		r.method = pick(rng, append(methods, strangeMethods...))
	}
	if rng.IntN(15) == 0 {
		r.target = bend(rng, r.target)
	}
	// Everybody has an address of their own, so that no limit by address hides what follows.
	r.fields = line("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", rng.IntN(256), rng.IntN(256), rng.IntN(256)))
	text := spoiltForm(rng, e)
	switch {
	case e.path == "/oauth/register":
		r.body = spoiltJSON(rng)
		r.fields = append(r.fields, field{"Content-Type", contentType(rng, "application/json")})
	case e.method == "POST":
		r.body = text
		r.fields = append(r.fields, field{"Content-Type", contentType(rng, contentTypes[0])})
	case text != "":
		r.target += "?" + text
	}
	if e.path == "/oauth/login/continue" && rng.IntN(2) == 0 {
		r.fields = append(r.fields, field{"Cookie", "{cookie}"}, field{"Origin", "{origin}"})
	}
	for range max(0, rng.IntN(7)-4) {
		r.fields = append(r.fields, pick(rng, oddHeaders))
	}
	return oversize(rng, r, protocol)
}

// oversize makes a few requests far too large, or frames their bodies oddly.
func oversize(rng *rand.Rand, r *request, protocol string) *request {
	switch rng.IntN(2000) {
	case 0:
		r.fields = append(r.fields, field{"X-Huge", "{huge}"})
	case 1:
		r.fields = append(r.fields, field{manyFields, "x"})
	case 2:
		r.body = "{huge}"
	case 3:
		r.target += "?x={huge}"
	}
	r.chunked = r.body != "" && rng.IntN(20) == 0
	if protocol == "h1" && rng.IntN(100) == 0 {
		r.chunked = false
		r.fields = append(r.fields, field{"Transfer-Encoding", "chunked"})
		r.body = pick(rng, []string{"zz\r\n", "-1\r\n\r\n", "ffffffffffffffff\r\nx", "5\r\nab\r\n0\r\n\r\n", "1;x=\"\r\n\"\r\na\r\n0\r\n\r\n", "0\r\nX: y\r\n", "00000000000000001\r\na\r\n0\r\n\r\n", "1\na\n0\n\n"})
	}
	return r
}

func contentType(rng *rand.Rand, right string) string {
	if rng.IntN(8) == 0 {
		return pick(rng, contentTypes)
	}
	return right
}

// spoiltForm is a form or query of which some values are nasty, missing or repeated.
func spoiltForm(rng *rand.Rand, e endpoint) string {
	var b strings.Builder
	add := func(name, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(escape(rng, name) + "=" + escape(rng, value))
	}
	for name, value := range sorted(e.params) {
		switch rng.IntN(10) {
		case 0:
		case 1:
			add(name, pick(rng, nasty))
		case 2:
			if rng.IntN(4) == 0 {
				add(name, value)
			}
			add(name, spoilText(rng, value))
		default:
			add(name, value)
		}
	}
	switch rng.IntN(30) {
	case 0:
		add(pick(rng, nasty), pick(rng, nasty))
	case 1:
		b.WriteString(strings.Repeat("&a=b", 3000))
	case 2:
		b.WriteString(pick(rng, []string{"&%", ";a=b", "&&&=&", "&a[]=b", "&a%5b0%5d=b", "\x00", "#f", "&\xff=\xff"}))
	}
	return b.String()
}

// escape leaves placeholders alone, whose values need no escape, and sometimes the rest.
func escape(rng *rand.Rand, text string) string {
	if strings.HasPrefix(text, "{") || rng.IntN(10) == 0 && !strings.ContainsAny(text, "\r\n \x00") {
		return text
	}
	return url.QueryEscape(text)
}
