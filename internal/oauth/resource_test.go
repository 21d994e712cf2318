// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/url"
	"strings"
	"testing"
)

func TestSec_L07_CanonicalResource(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://h.example/mcp":         "https://h.example/mcp",
		"https://H.Example:443/mcp":     "https://h.example/mcp",
		"HTTPS://h.example/mcp/":        "https://h.example/mcp",
		"https://h.example":             "https://h.example",
		"https://h.example/":            "https://h.example",
		"https://h.example:8443/":       "https://h.example:8443",
		"http://localhost:80/mcp":       "http://localhost/mcp",
		"http://localhost:443/mcp":      "http://localhost:443/mcp",
		"https://h.example/mcp/x":       "https://h.example/mcp/x",
		"https://h.example/mcpx":        "https://h.example/mcpx",
		"https://h.example/MCP":         "https://h.example/MCP",
		"https://[2001:DB8::1]:443/mcp": "https://[2001:db8::1]/mcp",

		"":                            "",
		"https://h.example/mcp?q":     "",
		"https://h.example/mcp?":      "",
		"https://h.example/mcp#f":     "",
		"https://h.example/mcp#":      "",
		"https://h.example/mcp//":     "",
		"https://h.example//mcp":      "",
		"https://h.example/a/../mcp":  "",
		"https://h.example/%2e%2e/m":  "",
		"https://u@h.example/mcp":     "",
		"https://h.example:/mcp":      "",
		"https:///mcp":                "",
		"https:/mcp":                  "",
		"h.example/mcp":               "",
		"/mcp":                        "",
		"urn:example:mcp":             "",
		"ftp://h.example/mcp":         "",
		"com.example.app:/mcp":        "",
		"https://h.example/mcp ":      "",
		"https://h.exämple/mcp":       "",
		`https://h.example\@evil/mcp`: "",
	} {
		if got := CanonicalResource(in); got != want {
			t.Errorf("CanonicalResource(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzCanonicalResource: the canonical form is a fixed point, is itself a resource, and
// names the same host and path for net/url.
func FuzzCanonicalResource(f *testing.F) {
	for _, s := range []string{"https://H:443/mcp/", "http://[::1]:80/", "https://h/%2e", "https://h//", "https://h/a;b", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		c := CanonicalResource(in)
		if c == "" {
			return
		}
		if again := CanonicalResource(c); again != c {
			t.Fatalf("%q becomes %q becomes %q", in, c, again)
		}
		a, err := url.Parse(in)
		if err != nil {
			t.Fatalf("accepted %q: %v", in, err)
		}
		b, err := url.Parse(c)
		if err != nil {
			t.Fatalf("made %q: %v", c, err)
		}
		if !strings.EqualFold(a.Hostname(), b.Hostname()) || strings.TrimSuffix(a.EscapedPath(), "/") != b.EscapedPath() || a.User != nil {
			t.Fatalf("%q became %q", in, c)
		}
	})
}

func TestCheckResourceURL(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"https://mcp.example.com/mcp", "https://mcp.example.com", "https://mcp.example.com/", "https://h.example:8443/a/b",
		"http://localhost:8080/mcp", "http://127.0.0.1:1", "http://[::1]:8080/mcp", "https://h.example/v1.0/a_b-c~d",
	} {
		if err := CheckResourceURL(s); err != nil {
			t.Errorf("CheckResourceURL(%q) = %v", s, err)
		}
	}
	for s, want := range map[string]string{
		"":                              "absolute",
		"mcp.example.com/mcp":           "absolute",
		"/mcp":                          "absolute",
		"ftp://h.example/mcp":           "https://",
		"https:/mcp":                    "https://",
		"http://h.example/mcp":          "https://",
		"https://H.example/mcp":         "lower case",
		"HTTPS://h.example/mcp":         "lower case",
		"https://h.example:443/mcp":     "default port",
		"http://localhost:80/mcp":       "default port",
		"https://h.example/mcp/":        "slash at the end",
		"https://h.example/mcp?x=1":     "query",
		"https://h.example/mcp?":        "query",
		"https://h.example/mcp#x":       "fragment",
		"https://u:p@h.example/mcp":     "user",
		"https://h.example//mcp":        "doubled slashes",
		"https://h.example/a/../mcp":    "dot segments",
		"https://h.example/m%63p":       "letters",
		"https://h.example/mcp;x":       "letters",
		"https://h.example/.well-known": ".well-known",
		"https://h.example/.well-known/oauth-protected-resource": ".well-known",
		"https://*.example/mcp":                                  "wildcard",
		"https://h.example:0/mcp":                                "port",
	} {
		if err := CheckResourceURL(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckResourceURL(%q) = %v, want a sentence with %q", s, err, want)
		}
	}
}

func TestSec_D02_CheckIssuer(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"https://mcp.example.com/oauth", "https://mcp.example.com", "http://localhost:8080/oauth", "https://h.example:8443/a/b"} {
		if err := CheckIssuer(s); err != nil {
			t.Errorf("CheckIssuer(%q) = %v", s, err)
		}
	}
	for _, s := range []string{
		"https://a.example/", "https://a.example:443", "HTTPS://A.example", "https://A.example", "https://a.example/oauth/",
		"https://a.example/oauth?x", "https://a.example/oauth#x", "http://a.example/oauth", "https://u@a.example/oauth",
		"https://a.example//oauth", "", "a.example", "https://a.example/.well-known/x",
	} {
		if CheckIssuer(s) == nil {
			t.Errorf("CheckIssuer(%q) is nil", s)
		}
	}
}

func TestSec_L01_ShellCharactersInURLs(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"https://a.example/$(id)", "https://a.example/`id`", "https://a.example/'x'", `https://a.example/"x"`, "https://a.example/a b",
		"https://a.example/a&b", "https://a.example/a|b", "https://a.example/a;b", "https://a.example/a>b", "https://a.example/!x", "https://$(id).example/",
	} {
		if CheckIssuer(s) == nil || CheckResourceURL(s) == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

func TestIsLoopbackHost(t *testing.T) {
	t.Parallel()
	for _, h := range []string{"localhost", "LocalHost", "localhost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080", "::1"} {
		if !IsLoopbackHost(h) {
			t.Errorf("IsLoopbackHost(%q) is false", h)
		}
	}
	for _, h := range []string{
		"", "localhost.evil", "a.localhost", "localhost.", "127.0.0.2", "127.1", "0x7f.1", "0.0.0.0", "[::]", "::", "[::ffff:127.0.0.1]",
		"localhost:", "localhost:x", "localhost:99999", "localhost:80:80", "localhost@evil", "evil@localhost:1", "[::1", "::1]", "[localhost]", "[localhost]:80", "[127.0.0.1]:80",
	} {
		if IsLoopbackHost(h) {
			t.Errorf("IsLoopbackHost(%q) is true", h)
		}
	}
}
