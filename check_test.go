// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"regexp"
	"strings"
	"testing"
)

// Parts of Caddyfiles for tests; VALUE is what a case is about.
const (
	testResource = "resource https://mcp.example.com/mcp\n"
	testProvider = "provider oidc {\nissuer https://id.example.com\nclient_id mcp\nclient_secret {env.MCPOAUTH_TEST_SECRET}\n}\nstore memory\n"
	testBase     = testResource + testProvider
)

func inSite(body string) []byte {
	return []byte("mcp.example.com {\nmcp_oauth {\n" + body + "\n}\n}\n")
}

// everyValue has a place for each value of the grammar, with some that are right and
// some that are wrong.
var everyValue = []struct {
	word, body string
	good, bad  []string
}{
	{
		"issuer", testBase + "issuer VALUE",
		[]string{"https://mcp.example.com/oauth", "https://mcp.example.com", "https://login.example.com:8443/a/b", "http://localhost:8080/oauth", "http://[::1]:8080"},
		[]string{
			"mcp.example.com", "https://mcp.example.com/", "https://mcp.example.com/oauth/", "https://mcp.example.com?a=b", "https://mcp.example.com/#a",
			"http://mcp.example.com", "https://MCP.example.com", "https://mcp.example.com:443", "https://user@mcp.example.com", "https://mcp.example.com/a//b",
			"https://mcp.example.com/a/../b", "https://mcp.example.com/a.", "https://mcp.example.com/a/.well-known", "https://mcp.example.com/a%20b", "https:mcp", `""`,
		},
	},
	{
		"resource", "resource VALUE\n" + testProvider,
		[]string{"https://mcp.example.com/mcp", "https://mcp.example.com", "https://mcp.example.com/", "http://127.0.0.1:9000/mcp"},
		[]string{
			"/mcp", "https://mcp.example.com/mcp?x", "https://mcp.example.com/mcp#", "http://192.168.0.1/mcp", "ftp://mcp.example.com", "https://*.example.com/mcp",
			"https://mcp.example.com/.well-known/oauth-protected-resource", "https://mcp.example.com/x/.WELL-KNOWN/y", "https://mcp.example.com/mcp;v=1",
		},
	},
	{
		"name", "resource https://mcp.example.com/mcp {\nname VALUE\n}\n" + testProvider,
		[]string{"Payroll", `"Löhne & Gehälter"`},
		[]string{`""`, `"  "`, "\"two\nlines\"", "\"a\u202eb\"", "\"a\u0000b\"", strings.Repeat("x", 201)},
	},
	{
		"scopes", "resource https://mcp.example.com/mcp {\nscopes VALUE\n}\n" + testProvider,
		[]string{"mcp", "read:all", "api://1234/MCP.Access"},
		[]string{`"a b"`, `a\b`, "ü", "offline_access", `""`},
	},
	{
		"allowed_origins", "resource https://mcp.example.com/mcp {\nallowed_origins VALUE\n}\n" + testProvider,
		[]string{"https://app.example.com", "https://app.example.com:8443", "http://intranet"},
		[]string{"*", "null", "app.example.com", "https://app.example.com/", "https://App.example.com", "https://app.example.com:443", "http://a:80", "https://a:", "https://u@a", "https://*.example.com", "file://x"},
	},
	{
		"audience", "resource https://mcp.example.com/mcp {\naudience VALUE\n}\n" + testProvider,
		[]string{"api://payroll", "https://backend.example.com/mcp/", "urn:example:payroll"},
		[]string{"payroll", "https://", "https://a.example.com#x", `"api://a b"`, "api:", "//a.example.com", `""`, "api://bücher"},
	},
	{
		"header", "resource https://mcp.example.com/mcp {\nforward {\nheader VALUE email\n}\n}\n" + testProvider,
		[]string{"X-User-Email", "Remote-User", "X1"},
		[]string{
			"X_User", "X.User", "-X", "X-", "1X", `"X User"`, "Ünser", "Authorization", "cookie", "Host", "Mcp-Session-Id", "X-Forwarded-User",
			"Connection", "DPoP", `""`, strings.Repeat("x", 201),
		},
	},
	{
		"header", "resource https://mcp.example.com/mcp {\nforward {\nheader X-User VALUE\n}\n}\n" + testProvider,
		[]string{"sub", "client_id", "scope", "name", "preferred_username", "email", "oid", "tid", "roles"},
		[]string{"exp", "Email", "groups", "http.auth.user.id", `""`},
	},
	{
		"max_age", testBase + "streams {\nmax_age VALUE\n}", []string{"1s", "1h", "24h"}, []string{"0", "25h", "1ms", "long", `""`},
	},
	{
		"until", testBase + "streams {\nuntil VALUE\n}", []string{"session", "token"}, []string{"Token", "grant", "1h", `""`},
	},
	{
		"per_session", testBase + "streams {\nper_session VALUE\n}", []string{"1", "64", "10000"}, []string{"0", "-1", "10001", "many", "064", `""`},
	},
	{
		"backend_jwt_alg", testBase + "tokens {\nbackend_jwt_alg VALUE\n}", []string{"RS256", "ES256"}, []string{"rs256", "PS256", "none", "HS256", "RS256,ES256", `""`},
	},
	{
		"encryption_key", testBase + "encryption_key VALUE",
		[]string{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "__________________________________________8"},
		[]string{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", "not-base64!", `"correct horse battery staple"`},
	},
	{
		"scope", testResource + testProvider + "scope VALUE",
		[]string{"mcp"},
		[]string{`"a b"`, "offline_access"},
	},
	{
		"description", testBase + "scope mcp {\ndescription VALUE\n}", []string{`"Use the tools"`}, []string{`""`, "\"a\u2028b\""},
	},
	{
		"implies", testBase + "scope read\nscope mcp {\nimplies VALUE\n}", []string{"read"}, []string{`"a b"`, "offline_access"},
	},
	{
		"user", testBase + "allow {\nuser VALUE\n}",
		[]string{"jane@example.com", "Jane.Doe@Example.com", "11111111-1111-1111-1111-111111111111", "auth0|5f7c8ec7c33c6c004bbafe82"},
		[]string{`""`, "@example.com", "jane@", "jane@*", `"jane doe"`, "jané", strings.Repeat("x", 256)},
	},
	{
		"role", testBase + "allow {\nrole VALUE\n}", []string{"MCP.User", `"Payroll admin"`}, []string{`""`, "\"a\tb\"", strings.Repeat("x", 256)},
	},
	{
		"domain", testBase + "allow {\ndomain VALUE\n}",
		[]string{"example.com", "xn--bcher-kva.example"},
		[]string{"Example.com", "*.example.com", "@example.com", ".example.com", "example.com.", "bücher.example", "192.0.2.1", "-a.example", "a_b.example", `""`, strings.Repeat("a.", 127) + "aa", strings.Repeat("a", 64) + ".example"},
	},
	{
		"client", testBase + "client VALUE {\nredirect_uri https://a.example.com/cb\n}",
		[]string{"build-server", "b2f3c0de"},
		[]string{"dcr_x", "DCR_x", "https://a.example.com/client.json", "HTTP://a", `"a b"`, `""`, "bü", strings.Repeat("x", 256)},
	},
	{
		"introspect", "resource https://mcp.example.com/mcp {\nintrospect VALUE\n}\n" + testProvider + "client VALUE {\nsecret s3cret\n}",
		[]string{"payroll"}, []string{"dcr_x", "https://a.example.com/client.json", `"a b"`, `""`},
	},
	{
		"name", testBase + "client a {\nname VALUE\nredirect_uri https://a.example.com/cb\n}", []string{`"Build server"`}, []string{`""`},
	},
	{
		"secret", testBase + "client a {\nsecret VALUE\nredirect_uri https://a.example.com/cb\n}", []string{"s3cret~!"}, []string{`"with space"`, "paßwort", `""`},
	},
	{
		"redirect_uri", testBase + "client a {\nredirect_uri VALUE\n}",
		[]string{"https://a.example.com/cb", "http://127.0.0.1/cb", "http://localhost:3000/cb", "com.example.app:/cb", "cursor://anysphere.cursor-mcp/oauth/callback"},
		[]string{"javascript:alert(1)", "data:text/html,x", "http://a.example.com/cb", "https://a.example.com/cb#x", "https://a@b.example.com/cb", "https://*.example.com/cb", "/cb", "file:///etc/passwd"},
	},
	{
		"rate", testBase + "registration {\nrate VALUE 1m\n}", []string{"1", "20", "100000"}, []string{"0", "-1", "1.5", "many", "100001", "+5", "007", `""`},
	},
	{
		"rate", testBase + "registration {\nrate 20 VALUE\n}", []string{"1s", "1m", "24h", "1d"}, []string{"0", "25h", "500ms", "1", "soon", "-1m", `""`},
	},
	{
		"redirect_hosts", testBase + "registration {\nredirect_hosts VALUE\n}",
		[]string{"claude.ai", "localhost", "127.0.0.1", "[::1]"},
		[]string{"https://claude.ai", "claude.ai:443", "*.claude.ai", "claude.ai/cb", "Claude.ai", "claude.ai*", "[::1", "::1", "[a]", `""`},
	},
	{
		"title", testBase + "login {\ntitle VALUE\n}", []string{`"Example Ltd"`}, []string{`""`},
	},
	{
		"support", testBase + "login {\nsupport VALUE\n}",
		[]string{"helpdesk@example.com", "https://help.example.com/mcp?topic=1"},
		[]string{"helpdesk", "http://help.example.com", "javascript:alert(1)", "@example.com", "a@b@example.com", "https://", "https://user@help.example.com", `"a b@example.com"`, "mailto:a@example.com", `""`},
	},
}

// lifetimeValues are cases for each word of the tokens block.
var lifetimeValues = map[string]struct{ good, bad []string }{
	"access":          {[]string{"1s", "1h", "24h", "1d"}, []string{"999ms", "0", "-1h", "24h1s", "soon", "1.5s", "1", `""`}},
	"refresh":         {[]string{"1s", "90d", "365d"}, []string{"366d", "0", "never"}},
	"refresh_idle":    {[]string{"1s", "30d"}, []string{"366d", "0"}},
	"refresh_grace":   {[]string{"0", "60s", "5m"}, []string{"-1s", "301s", "off"}},
	"code":            {[]string{"1s", "60s", "10m"}, []string{"0", "-1s", "601s", "500ms"}},
	"backend_jwt":     {[]string{"1s", "5m", "10m"}, []string{"0", "601s", "-5m", "1ns"}},
	"guard_cache":     {[]string{"0", "30s", "5m"}, []string{"-1s", "301s"}},
	"provider_outage": {[]string{"0", "4h", "7d"}, []string{"-1s", "8d"}},
}

// TestOneCheckServesParserAndProvision gives every value to the parser literally, which
// must answer with a position, and to Provision behind a placeholder, which must answer
// with the same sentence.
func TestOneCheckServesParserAndProvision(t *testing.T) {
	setGoldenEnv(t)
	cases := everyValue
	for _, l := range lifetimes {
		v := lifetimeValues[l.word]
		cases = append(cases, struct {
			word, body string
			good, bad  []string
		}{l.word, testBase + "tokens {\n" + l.word + " VALUE\n}", v.good, v.bad})
	}
	tested := make(map[string]bool)
	for _, c := range cases {
		tested[c.word] = len(c.good) > 0 && len(c.bad) > 0
		for _, v := range c.good {
			acceptsValue(t, c.word, c.body, v)
		}
		for _, v := range c.bad {
			refusesValue(t, c.word, c.body, v)
		}
	}
	eachWord(func(full string, _ bool) {
		word := full[strings.LastIndexByte(full, '.')+1:]
		block := map[string]bool{"provider": true, "store": true, "allow": true, "registration": true, "login": true, "tokens": true, "streams": true, "forward": true}
		if !tested[word] && !block[word] {
			t.Errorf("%s is not tested", full)
		}
	})
}

func acceptsValue(t *testing.T, word, body, v string) {
	t.Helper()
	if err := validate(t, inSite(strings.ReplaceAll(body, "VALUE", v))); err != nil {
		t.Errorf("%s %s: %v", word, v, err)
	}
}

var position = regexp.MustCompile(`, at Caddyfile:\d+$`)

func refusesValue(t *testing.T, word, body, v string) {
	t.Helper()
	_, err := adapt(t, inSite(strings.ReplaceAll(body, "VALUE", v)))
	if err == nil {
		t.Errorf("%s %s: the parser accepts it", word, v)
		return
	}
	if !position.MatchString(err.Error()) {
		t.Errorf("%s %s: no position: %v", word, v, err)
	}
	if !regexp.MustCompile(`(?i)\bwrite\b|remove`).MatchString(err.Error()) {
		t.Errorf("%s %s: the error does not say what to write: %v", word, v, err)
	}
	unquoted := strings.TrimSuffix(strings.TrimPrefix(v, `"`), `"`)
	if unquoted == "" || strings.ContainsRune(unquoted, 0) {
		return // no environment variable holds these
	}
	t.Setenv("MCPOAUTH_TEST_VALUE", unquoted)
	again := validate(t, inSite(strings.ReplaceAll(body, "VALUE", "{env.MCPOAUTH_TEST_VALUE}")))
	if again == nil {
		t.Errorf("%s %s: Provision accepts it", word, v)
		return
	}
	_, sentence, _ := strings.Cut(position.ReplaceAllString(err.Error(), ""), "for 'mcp_oauth': ")
	if !strings.Contains(again.Error(), sentence) {
		t.Errorf("%s %s:\nparser:    %s\nProvision: %v", word, v, sentence, again)
	}
}

// TestSecretsAreNotRepeated wants errors about a secret not to contain it.
func TestSecretsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]func(string) error{"encryption_key": checkEncryptionKey, "secret": checkClientSecret} {
		const wrong = "tr0ub4dor and 3"
		if err := check(wrong); err == nil || strings.Contains(err.Error(), "tr0ub4dor") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
