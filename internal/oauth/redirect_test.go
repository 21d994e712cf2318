// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/url"
	"strings"
	"testing"
)

func TestCheckRedirectURIAcceptsKnownClients(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"https://claude.ai/api/mcp/auth_callback",
		"https://claude.com/api/mcp/auth_callback",
		"claude://claude.ai/mcp-auth-callback/sdk",
		"https://chatgpt.com/connector_platform_oauth_redirect",
		"https://chatgpt.com/connector/oauth/abc-123_x",
		"cursor://anysphere.cursor-mcp/oauth/callback",
		"https://www.cursor.com/agents/mcp/oauth/callback",
		"http://localhost:8787/callback",
		"https://insiders.vscode.dev/redirect",
		"https://vscode.dev/redirect",
		"http://127.0.0.1/",
		"http://127.0.0.1:33418/",
		"http://127.0.0.1:33418",
		"http://[::1]:5000/cb",
		"http://localhost:6274/oauth/callback/debug",
		"http://localhost:3335/oauth/callback",
		"https://antigravity.google/oauth-callback",
		"https://global.consent.azure-apim.net/redirect/new-5fmcp-2fserver-5f0123",
		"https://grok.com/connectors-oauth-exchange-code/",
		"https://www.perplexity.ai/rest/connections/oauth_callback",
		"https://callback.mistral.ai/v1/integrations_auth/oauth2_callback",
		"https://oauth-redirect.googleusercontent.com/r/user_bound_custom-mcp-1",
		"https://ai.example.com/oauth/clients/mcp:erp_mcp/callback",
		"com.example.app:/oauth2redirect/provider",
		"com.example.app://callback",
		"vscode://vscode.mcp/callback?windowId=3",
		"https://a.example/cb?tenant=x&flow=%41",
		"https://203.0.113.7:8443/cb",
		"https://[2001:db8::1]/cb",
		"https://xn--bcher-kva.example/cb",
	} {
		if err := CheckRedirectURI(uri); err != nil {
			t.Errorf("CheckRedirectURI(%q) = %v", uri, err)
		}
		if !MatchRedirect(uri, uri) {
			t.Errorf("MatchRedirect(%q, itself) is false", uri)
		}
	}
}

func refuse(t *testing.T, uris ...string) {
	t.Helper()
	for _, uri := range uris {
		err := CheckRedirectURI(uri)
		if e := AsError(err); e == nil || e.Code != InvalidRedirectURI || e.Status != 400 {
			t.Errorf("CheckRedirectURI(%q) = %v, want invalid_redirect_uri", uri, err)
		} else if strings.ContainsAny(e.Description, "\"\\") {
			t.Errorf("description %q has a character that RFC 6749 excludes", e.Description)
		}
	}
}

func TestSec_B02_EmptyRedirect(t *testing.T) {
	t.Parallel()
	refuse(t, "")
	if MatchRedirect("", "") || MatchRedirect("", "https://a.example/") || MatchRedirect("https://a.example/", "") {
		t.Error("an empty URI matches")
	}
}

func TestSec_B03_DangerousSchemes(t *testing.T) {
	t.Parallel()
	refuse(t,
		"javascript:alert(1)", "JavaScript:alert(1)", "javascript://a.example/%0aalert(1)",
		"\tjavascript:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)", "\njavascript:alert(1)",
		"data:text/html,x", "data://a.example/x", "vbscript:x", "file:///etc/passwd", "blob:https://a.example/x",
		"intent://a.example/#Intent;end", "ftp://a.example/", "ws://a.example/", "about:blank", "view-source:https://a.example",
		"http://example.com/cb", "http://localhost.evil/cb", "HTTP://example.com/cb", "mailto:a@example.com",
		"ms-settings:/x", "myapp://cb", "//a.example/cb", "/cb", "cb", ":", "https", "https:",
	)
}

func TestSec_B04_LoopbackPortRule(t *testing.T) {
	t.Parallel()
	tests := []struct {
		registered, requested string
		want                  bool
	}{
		{"http://127.0.0.1/cb", "http://127.0.0.1:5000/cb", true},
		{"http://127.0.0.1:33418/", "http://127.0.0.1:1/", true},
		{"http://127.0.0.1:33418/", "http://127.0.0.1/", true},
		{"http://localhost/callback", "http://localhost:3118/callback", true},
		{"http://localhost:1/callback?a=b", "http://localhost:65535/callback?a=b", true},
		{"http://[::1]/cb", "http://[::1]:5000/cb", true},

		{"http://127.0.0.1/cb", "http://localhost:5000/cb", false},
		{"http://localhost/cb", "http://127.0.0.1/cb", false},
		{"http://127.0.0.1/cb", "http://[::1]:5000/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1.evil/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:5000@evil/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:80@evil/", false},
		{"http://127.0.0.1/cb", "http://127.1/cb", false},
		{"http://127.0.0.1/cb", "http://0x7f.1/cb", false},
		{"http://127.0.0.1/cb", "http://2130706433/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.2/cb", false},
		{"http://127.0.0.1/cb", "http://[::ffff:127.0.0.1]/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:5000/cb?x=1", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:5000/cb?", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:5000/cb/", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:5000/CB", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:5000/cb#f", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:99999/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:080/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:+80/cb", false},
		{"http://127.0.0.1/cb", "https://127.0.0.1:5000/cb", false},
		{"http://127.0.0.1/cb", "HTTP://127.0.0.1:5000/cb", false},
		{"http://localhost/cb", "http://LOCALHOST:5000/cb", false},
		{"http://localhost/cb", "http://localhost.:5000/cb", false},
		{"http://localhost/cb", "http://a.localhost:5000/cb", false},
		{"http://localhost/cb", "http://localhost:5000\\@evil/cb", false},
		{"https://a.example/cb", "https://a.example:5000/cb", false},
		{"https://localhost/cb", "https://localhost:5000/cb", false},
	}
	for _, tt := range tests {
		if got := MatchRedirect(tt.registered, tt.requested); got != tt.want {
			t.Errorf("MatchRedirect(%q, %q) = %v, want %v", tt.registered, tt.requested, got, tt.want)
		}
		same := WithoutLoopbackPort(tt.registered) == WithoutLoopbackPort(tt.requested)
		if same != tt.want {
			t.Errorf("%q and %q: equal without port is %v, want %v", tt.registered, tt.requested, same, tt.want)
		}
	}
}

func TestSec_B01_ExactMatch(t *testing.T) {
	t.Parallel()
	const registered = "https://a.example/cb"
	for _, requested := range []string{
		"https://a.example/cb/", "https://a.example/cb?x", "https://A.example/cb", "https://a.example:443/cb",
		"https://a.example/cb#", "https://a.example/cb%2f", "https://a.example/c%62", "http://a.example/cb",
		"HTTPS://a.example/cb", "https://a.example./cb", "https://a.example/cb ", "https://a.example/cb\n", "",
	} {
		if MatchRedirect(registered, requested) {
			t.Errorf("MatchRedirect(%q, %q) is true", registered, requested)
		}
	}
}

func TestSec_B05_ParserDifferential(t *testing.T) {
	t.Parallel()
	refuse(t,
		`https://good.example\@evil.example/`, "https://good.example@evil.example/", "https://a@b@evil.example/",
		"https://user:pass@good.example/", "https://@good.example/", "https://good.example%00.evil.example/",
		"https://good.example%2eevil.example/", "https://good.example/%00", "https://good.example/\x00",
		"https://good.example/%0d%0aSet-Cookie:x", "https://good.example/\r\n", "https://good.example/\tcb",
		"https://good.example/ cb", `https:\\good.example\cb`, `https:/\good.example/cb`, "https:/good.example/cb",
		"https:///good.example/cb", "https:good.example/cb", "https://", "https:///", "https://?x", "https://#f",
		"https://good.example/cb#", "https://good.example/cb#frag", "https://good.example#@evil.example/",
		"https://good。example/cb", "https://good.example/ü", "https://gооd.example/cb", "https://good.example:/cb",
		"https://good.example:0/", "https://good.example:65536/", "https://good.example:80:80/", "https://good.example:8x/",
		"https://[::1/cb", "https://::1/cb", "https://[fe80::1%25eth0]/cb", "https://[good.example]/cb",
		"https://a.-0/cb", "https://good-.example/cb", "https://good..example/cb", "https://.good.example/cb", "https://good.example./cb", "https://*.example/cb",
		"https://good.example/*", "https://0x7f.1/cb", "https://127.1/cb", "https://2130706433/cb", "https://1.2.3.04/cb",
		"https://good.example/<x>", `https://good.example/"x`, "https://good.example/{x}", "https://good.example/[x]",
		"https://good.example/cb?a=%zz", "https://good.example/cb?a;b", "https://good.example/cb?a=%00", "https://good.example/%zz",
		"https://good.example/%", "https://good.example/..;/evil", "https://good.example/"+strings.Repeat("a", MaxRedirectURI),
		"https://"+strings.Repeat("a", 64)+".example/",
	)
}

func TestSec_B06_DotSegments(t *testing.T) {
	t.Parallel()
	refuse(t,
		"https://a.example/cb/../evil", "https://a.example/cb/./x", "https://a.example/..", "https://a.example/.",
		"https://a.example/cb/%2e%2e/evil", "https://a.example/cb/%2E./evil", "https://a.example/cb/%252e%252e/evil",
		"https://a.example/cb/%25252e%25252e/evil", "https://a.example/cb%2f..%2fevil", "https://a.example/cb/%5c..%5cevil",
		"https://a.example/cb/..;x=y/evil", "http://127.0.0.1/../cb", "com.example.app:/../cb",
	)
}

func TestSec_B09_ReservedParameters(t *testing.T) {
	t.Parallel()
	refuse(t,
		"https://a.example/cb?iss=e", "https://a.example/cb?code=1", "https://a.example/cb?x=1&state=2",
		"https://a.example/cb?error=x", "https://a.example/cb?error_description=x", "https://a.example/cb?%69ss=e",
		"https://a.example/cb?is%73", "http://localhost:1/cb?state", "com.example.app:/cb?code=1", "https://a.example/cb?a=1&a=2&code=",
	)
}

func TestSec_B09_StateCannotInject(t *testing.T) {
	t.Parallel()
	params := url.Values{"code": {"c"}, "iss": {"https://i.example"}, "state": {"x&iss=evil\r\nLocation: y #z +%20ü"}}
	for base, want := range map[string]string{
		"https://a.example/cb":                 "https://a.example/cb?",
		"https://a.example/cb?":                "https://a.example/cb?",
		"https://a.example/cb?b=2&a=1&e":       "https://a.example/cb?b=2&a=1&e&",
		"com.example.app:/cb?q=%41":            "com.example.app:/cb?q=%41&",
		"cursor://anysphere.cursor-mcp/oauth/": "cursor://anysphere.cursor-mcp/oauth/?",
	} {
		got := RedirectWith(base, params)
		if !strings.HasPrefix(got, want) || strings.ContainsAny(got, " +\r\n#") {
			t.Fatalf("RedirectWith(%q) = %q", base, got)
		}
		u, err := url.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		for name := range params {
			if len(q[name]) != 1 || q.Get(name) != params.Get(name) {
				t.Errorf("RedirectWith(%q): %s = %q, want %q once", base, name, q[name], params.Get(name))
			}
		}
	}
	if got := RedirectWith("https://a.example/cb", nil); got != "https://a.example/cb" {
		t.Errorf("RedirectWith without parameters = %q", got)
	}
}

func TestRedirectHost(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"https://Claude.AI/x":              "https claude.ai",
		"https://claude.ai:443/x":          "https claude.ai",
		"https://claude.ai:8443/x":         "https claude.ai:8443",
		"http://localhost:80/x":            "http localhost:80",
		"cursor://anysphere.cursor-mcp/x":  "cursor anysphere.cursor-mcp",
		"com.example.app:/x":               "com.example.app ",
		"https://claude.ai@evil.example/x": " ",
		"javascript:alert(1)":              " ",
	} {
		scheme, host := RedirectHost(uri)
		if got := scheme + " " + host; got != want {
			t.Errorf("RedirectHost(%q) = %q, want %q", uri, got, want)
		}
	}
}
