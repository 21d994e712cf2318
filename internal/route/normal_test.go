// SPDX-License-Identifier: Apache-2.0

package route

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/mcp":               "/mcp",
		"":                   "/",
		"*":                  "/*",
		"mcp":                "/mcp",
		"/MCP":               "/mcp",
		"/mcp/":              "/mcp/",
		"//mcp":              "/mcp",
		"/./mcp":             "/mcp",
		"/a/../mcp":          "/mcp",
		"/../../mcp":         "/mcp",
		"/mcp/..":            "/",
		"/mcp/.":             "/mcp",
		"/%6dcp":             "/mcp",
		"/%256dcp":           "/mcp",
		"/%25256dcp":         "/mcp",
		"/a%2f..%2Fmcp":      "/mcp",
		`/a\..\mcp`:          "/mcp",
		"/a%5c..%5cmcp":      "/mcp",
		"/a/..;x=y/mcp":      "/mcp",
		"/mcp;v=1/x":         "/mcp/x",
		"/mcp.":              "/mcp",
		"/mcp%20":            "/mcp",
		"/mcp.%20./x":        "/mcp/x",
		"/..%20/mcp":         "/mcp",
		"/100%25":            "/100%",
		"/100%25/%2541":      "/100%/a",
		"/%e2%84%aa":         "/k", // KELVIN SIGN
		"/%C5%BF":            "/s", // LATIN SMALL LETTER LONG S
		"/caf%C3%A9":         "/café",
		"/.well-known/oauth": "/.well-known/oauth",
	} {
		if got, err := Normalize(in); err != nil || got != want {
			t.Errorf("Normalize(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"/%", "/%zz", "/a%2", "/%00", "/a%0ab", "/a%7F", "/%C2%85", "/%ff", "/%c3%28", "/a\x01",
		"/%2500", "/%25ff", "/%2525256dcp", "/%252525256dcp",
	} {
		if got, err := Normalize(in); !errors.Is(err, ErrPath) {
			t.Errorf("Normalize(%q) = %q, %v; want ErrPath", in, got, err)
		}
	}
}

// spellings of paths that some software takes for /mcp or for something below it.
var spellings = []string{
	"/mcp", "/mcp/", "/mcp/x", "/mcpx", "/mcp.json", "/MCP", "/McP/", "//mcp", "///mcp//x", "/./mcp",
	"/.//./mcp", "/a/../mcp", "/a/b/../../mcp", "/../mcp", "/../../mcp", "/mcp/./x", "/mcp/a/../x", "/mcp/..//mcp", "/%6dcp", "/%6Dcp",
	"/%6d%63%70", "/m%63p/", "/%4dCP", "/%2fmcp", "/%2Fmcp", "/a%2f..%2fmcp", "/a/%2e%2e/mcp", "/a/%2E%2E/mcp", "/a/.%2e/mcp", "/a/%2e./mcp",
	"/%2e/mcp", "/%2e%2e/mcp", "/%256dcp", "/%252fmcp", "/a/%252e%252e/mcp", "/%25256dcp", "/%2525256dcp", "/%252525252e/../mcp", `/\mcp`, `/a\..\mcp`,
	"/%5cmcp", "/%5Cmcp", "/a%5c..%5cmcp", "/a/..%5cmcp", "/%255cmcp", "/;/mcp", "/;a=b/mcp", "/a/..;/mcp", "/a/..;x/mcp", "/a/..%3b/mcp",
	`/a\..\mcp\..;\x`, "/mcp;x", "/mcp;/x", "/mcp/..;/x", "/mcp/%2e%2e%3b/x", "/mcp/%252e%252e/x", "/mcp/..%252fx", "/mcp.", "/mcp./x", "/mcp%20", "/mcp%20/x",
	"/mcp.%20.", "/mcp...", "/%20/../mcp", "/mcp%00", "/mcp%0a", "/mcp%0d%0ax", "/mcp%zz", "/mcp%", "/mcp%ff", "/mcp%c0%af",
	// Every way to resolve these leads below /mcp in some order of steps alone.
	"/mc%252570/%20/../", "/x/..;a/m%63p/..%3b/z", "/%252525252fx/..%5cmcp", "/mc%2570;x/../y",
	"/mcp/..", "/mcp/../x", "/MCP/../x", "/mcp/%2e%2e/x", "/mcp%2f..%2fx", "/mcp/../../x/", "/m%63p/../x", "/mcp/x/../../y", "/mcp/..%5cx",
	"/%00/../mcp", "/mcp%3f", "/mcp%23x", "/mcp%2f", "/mcp%2f..%2f..%2fmcp", "mcp", "/mcp/../mcp", "/%EF%BC%8F/../mcp", "/mcp%E2%80%AE", "/mcp\x7f",
}

func TestSec_J04_NoSpellingEscapesTheGuard(t *testing.T) {
	t.Parallel()
	if len(spellings) < 60 {
		t.Fatalf("only %d spellings", len(spellings))
	}
	table := New(site("https://h.example/oauth", "https://h.example/mcp"))
	for _, p := range spellings {
		for _, r := range []Route{
			table.Route("h.example", p, p),
			table.Route("h.example", p, "/x"),
			table.Route("h.example", "/x", p),
		} {
			if r.Kind != Guarded && r.Kind != BadPath {
				t.Errorf("%q: kind %d", p, r.Kind)
			}
		}
		if r := table.Route("other.example", p, p); r.Kind == Guarded {
			t.Errorf("%q on another host: kind %d", p, r.Kind)
		}
	}
}

// On a host that nobody configured, the backend may be reachable all the same.
func TestSec_J04_NoSpellingEscapesOnAnotherHost(t *testing.T) {
	t.Parallel()
	table := New(site("https://h.example/oauth", "https://h.example/mcp"))
	for _, p := range []string{
		"/mcp/../x", "/mcp%2f..%2fx", "/mc%2570", "//%255cmcp", "//%255cmcp%252525%32d", "/mcp%252525252f", "/m%63p%ff", "/mc%2570%00", "/x/..;a/m%63p/..%3b/z",
	} {
		for _, r := range []Route{table.Route("other.example", p, p), table.Route("other.example", p, "/x"), table.Route("other.example", "/x", p)} {
			if r.Kind != Misdirected {
				t.Errorf("%q: kind %d", p, r.Kind)
			}
		}
	}
}

func TestSec_J04_EndpointsMatchByteForByte(t *testing.T) {
	t.Parallel()
	table := New(site("https://h.example/oauth", "https://h.example"))
	for _, p := range []string{
		"/OAUTH/token", "/oauth/Token", "/oauth//token", "//oauth/token", "/oauth/./token", "/oauth/x/../token", "/x/../oauth/token",
		"/oauth/tok%65n", "/oauth%2ftoken", "/oauth/%2574oken", `/oauth\token`, "/oauth/token;x", "/oauth;x/token", "/oauth/token.", "/oauth/token%20",
		"/mcp/..;/oauth/token", "/oauth/tokeN%20", "/oauth/login//continue", "/oauth/token%00",
	} {
		if r := table.Route("h.example", p, p); r.Kind != BadPath {
			t.Errorf("%q: kind %d, want BadPath", p, r.Kind)
		}
	}
}

// A path that two readings give to different resources would let a token for one of
// them reach the other.
func TestSec_J04_AmbiguousOwner(t *testing.T) {
	t.Parallel()
	table := New(site("https://h.example/oauth", "https://h.example/a", "https://h.example/b"))
	for _, p := range []string{"/a/..;/b", "/a/%252e%252e/b", `/a/..\..\b`} {
		if r := table.Route("h.example", p, p); r.Kind != BadPath {
			t.Errorf("%q: kind %d, want BadPath", p, r.Kind)
		}
	}
}

// webServer is what the path matcher "/mcp*" of the web server does on Unix: lower case,
// dot segments and doubled slashes resolved, a string prefix of the path decoded once.
func webServer(decoded, prefix string) bool {
	p := strings.ToLower(decoded)
	c := path.Clean(p)
	if c != "/" && strings.HasSuffix(p, "/") {
		c += "/"
	}
	return strings.HasPrefix(c, prefix)
}

func FuzzPath(f *testing.F) {
	for _, p := range spellings {
		f.Add(p)
	}
	alone := New(site("https://h.example/oauth", "https://h.example/mcp"))
	several := New(site("https://h.example/oauth", "https://h.example/mcp", "https://h.example/mcp/deep", "https://h.example"))
	f.Fuzz(func(t *testing.T, p string) {
		u, err := url.ParseRequestURI(p)
		if err != nil || u.Opaque != "" || u.Host != "" {
			return
		}
		escaped := u.EscapedPath()
		for _, table := range []*Table{alone, several} {
			for _, r := range []Route{table.Route("h.example", escaped, escaped), table.Route("h.example", "/", escaped)} {
				if webServer(u.Path, "/mcp") && r.Kind == Next {
					t.Errorf("%q would be proxied unguarded", escaped)
				}
			}
		}
		if r := alone.Route("other.example", escaped, escaped); webServer(u.Path, "/mcp") && r.Kind != Misdirected {
			t.Errorf("%q on another host: kind %d", escaped, r.Kind)
		}
		if r := several.Route("h.example", escaped, escaped); r.Kind == Next {
			t.Errorf("%q escapes the resource at the root", escaped)
		}
		n, err := Normalize(escaped)
		if err != nil {
			return
		}
		if !strings.HasPrefix(n, "/") || strings.Contains(n, "//") || strings.Contains(n, `\`) || strings.Contains(n+"/", "/../") || strings.Contains(n+"/", "/./") {
			t.Errorf("Normalize(%q) = %q", escaped, n)
		}
	})
}
