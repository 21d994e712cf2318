// SPDX-License-Identifier: Apache-2.0

package route

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// around has each byte in the middle and at the end of a path and of a segment.
func around() []string {
	var all []string
	for i := range 256 {
		c := string([]byte{byte(i)})
		all = append(all, "/a"+c+"b", "/a"+c, "/"+c, "/a"+c+"/b")
	}
	return all
}

// simplest is written differently from plain: a path of nothing but these characters,
// without empty segments and dots at the end of one.
var simplest = regexp.MustCompile(`\A/([a-z0-9_~:@+,=!$*.-]*[a-z0-9_~:@+,=!$*-]/)*([a-z0-9_~:@+,=!$*.-]*[a-z0-9_~:@+,=!$*-])?\z`)

func TestPlain(t *testing.T) {
	t.Parallel()
	for _, p := range append(around(), append(spellings, "", "*", "a", "/", "/a", "/a/", "//", "/a//b", "/.", "/..", "/a.", "/a./", "/.a", "/a.b", "/...a")...) {
		got := plain(p)
		if got != simplest.MatchString(p) {
			t.Errorf("plain(%q) = %t", p, got)
		}
		if !got {
			continue
		}
		// What is called plain is its own normal form by the long way too.
		l, err := decode(p)
		last := l.last()
		if err != nil || coarse(last) != p || matched(last) != p || windows(last) != p {
			t.Errorf("%q is plain, and becomes %q, %q and %q (%v)", p, coarse(last), matched(last), windows(last), err)
		}
	}
}

func TestHex(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		want := strings.IndexByte("0123456789abcdef", byte(i))
		if want < 0 {
			want = strings.IndexByte("0123456789ABCDEF", byte(i))
		}
		if got := hex(byte(i)); got != want {
			t.Errorf("hex(%#x) = %d, want %d", i, got, want)
		}
	}
	for i := range 256 {
		for _, format := range []string{"%%%02x", "%%%02X", "%%%02x!", "!%%%02x"} {
			in := fmt.Sprintf(format, i)
			want := strings.Replace(in, in[strings.IndexByte(in, '%'):][:3], string([]byte{byte(i)}), 1)
			if got := unescape(in); got != want {
				t.Errorf("unescape(%q) = %q", in, got)
			}
		}
	}
	for _, s := range []string{"", "a", "%", "%4", "%zz", "%4z", "%z4", "a%", "a%4", "%%", "%g0", "%0g"} {
		if got := unescape(s); got != s {
			t.Errorf("unescape(%q) = %q", s, got)
		}
	}
	if got := unescape("%41%42c%%43"); got != "ABc%C" {
		t.Errorf("%q", got)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in     string
		layers []string
		ok     bool
	}{
		{"", []string{"/"}, true},
		{"a", []string{"/a"}, true},
		{"/a", []string{"/a"}, true},
		{"//a", []string{"//a"}, true},
		{"/%41", []string{"/A"}, true},
		{"/%2541", []string{"/%41", "/A"}, true},
		{"/%252541", []string{"/%2541", "/%41", "/A"}, true},
		{"/%25252541", []string{"/%252541", "/%2541", "/%41"}, false},
		{"/100%25", []string{"/100%"}, true},
		{"/%2500", []string{"/%00", "/\x00"}, false},
		{"/%00%2541", []string{"/\x00%41", "/\x00A"}, false},
		{"/%00", []string{"/\x00"}, false},
		{"/%ff", []string{"/\xff"}, false},
		{"/%", nil, false},
		{"/%zz", nil, false},
	} {
		l, err := decode(tt.in)
		if !slices.Equal(l.all(), tt.layers) || (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrPath) {
			t.Errorf("decode(%q) = %q, %v; want %q", tt.in, l.all(), err, tt.layers)
		}
	}
	for s, want := range map[string]bool{
		"": true, "/a": true, "/é": true, "\x00": false, "a\x1f": false, " ": true, "\x7f": false, "\u0085": false, "\u00a0": true, "\xff": false, "\x00a": false,
	} {
		if text(s) != want {
			t.Errorf("text(%q) = %t", s, !want)
		}
	}
}

func TestReadingsOfAPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, matched, windows, coarse string }{
		{"/A/B/", "/a/b/", "/a/b/", "/a/b/"},
		{"", "/", "/", "/"},
		{"/", "/", "/", "/"},
		{"a", "/a", "/a", "/a"},
		{"//a//b", "/a/b", "/a/b", "/a/b"},
		{"/a/../b", "/b", "/b", "/b"},
		{"/a/./b", "/a/b", "/a/b", "/a/b"},
		{"/a/.", "/a", "/a", "/a"},
		{"/a/..", "/", "/", "/"},
		{`/a\b`, `/a\b`, "/a/b", "/a/b"},
		{"/a./b", "/a./b", "/a/b", "/a/b"},
		{"/a. ./b", "/a. ./b", "/a/b", "/a/b"},
		{"/a /b", "/a /b", "/a/b", "/a/b"},
		{"/a/.../b", "/a/.../b", "/a/b", "/a/b"},
		{"/a/.. /b", "/a/.. /b", "/a/b", "/b"},
		{"/a/. /b", "/a/. /b", "/a/b", "/a/b"},
		{"/a;x/b", "/a;x/b", "/a;x/b", "/a/b"},
		{"/a/..;x/b", "/a/..;x/b", "/a/..;x/b", "/b"},
		{"/a/ ;x/b", "/a/ ;x/b", "/a/ ;x/b", "/a/b"},
		{"/ſ", "/ſ", "/ſ", "/s"},
	} {
		if m, w, c := matched(tt.in), windows(tt.in), coarse(tt.in); m != tt.matched || w != tt.windows || c != tt.coarse {
			t.Errorf("%q: %q, %q, %q; want %q, %q, %q", tt.in, m, w, c, tt.matched, tt.windows, tt.coarse)
		}
	}
	for in, want := range map[string][]string{
		"/mcp":             {"/mcp"},
		"/MCP":             {"/mcp"},
		"/Mcp;a":           {"/mcp;a", "/mcp"},
		"/mcp/..;/x":       {"/mcp/..;/x", "/x"},
		"/mcp%5cx":         {"/mcp%5cx", `/mcp\x`, "/mcp/x"},
		"/a%5c.;b":         {"/a%5c.;b", `/a\.`, `/a\.;b`, "/a/.;b", "/a"},
		"/mcp/%2e%2e/x":    {"/mcp/%2e%2e/x", "/x", "/mcp/../x"},
		"/a/../b":          {"/a/../b", "/b"},
		"/a%3b/b":          {"/a%3b/b", "/a;/b", "/a/b"},
		"/mcp%C3%A9":       {"/mcp%c3%a9", "/mcpé"},
		"/A%2542;/..%3b/x": {"/a%2542;/..%3b/x", "/a%42/..;/x", "/a%42;/..;/x", "/x", "/ab;/..;/x"},
		"/a;x/%5C./b/./c":  {"/a;x/%5c./b/./c", `/a/\./b/c`, `/a;x/\./b/./c`, `/a;x/\./b/c`, "/a;x/b/c", "/a/b/c"},
		"/mcp%00":          {"/mcp%00", "/mcp\x00"},
		"/%252525252e":     {"/%252525252e", "/%2525252e", "/%25252e", "/%252e"},
		"/zz%":             {"/zz%"},
	} {
		f, err := formsOf(in)
		if !slices.Equal(f.all(), want) {
			t.Errorf("formsOf(%q) = %q, %v; want %q", in, f.all(), err, want)
		}
		normal, none := Normalize(in)
		if (none != nil) != (err != nil) || none == nil && !slices.Contains(want, normal) {
			t.Errorf("formsOf(%q): %v, the normal form is %q, %v", in, err, normal, none)
		}
		// A configured path without normal form stands for itself.
		if err != nil {
			want = []string{in}
		}
		if got := readings(in); !slices.Equal(got, want) {
			t.Errorf("readings(%q) = %q, want %q", in, got, want)
		}
	}
	if got := withoutParameters("/a;b/c;d;e/;f/g"); got != "/a/c//g" {
		t.Errorf("%q", got)
	}
}

func TestHostParts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ host, name, port string }{
		{"", "", ""},
		{"h", "h", ""},
		{"h:1", "h", ":1"},
		{"h:", "h", ""},
		{":1", "", ":1"},
		{":", "", ""},
		{"[::1]", "[::1]", ""},
		{"[::1]:", "[::1]", ""},
		{"[::1]:8", "[::1]", ":8"},
		{"a:b:1", "a:b", ":1"},
	} {
		if name, port := splitPort(tt.host); name != tt.name || port != tt.port {
			t.Errorf("splitPort(%q) = %q, %q", tt.host, name, port)
		}
	}
	for url, want := range map[string][3]string{
		"https://h.example":          {"https", "h.example", ""},
		"https://h.example/":         {"https", "h.example", "/"},
		"https://h.example:8/a/b":    {"https", "h.example:8", "/a/b"},
		"http://[::1]:8/a?b//c://d/": {"http", "[::1]:8", "/a?b//c://d/"},
	} {
		scheme, host, path := splitOrigin(url)
		if got := [3]string{scheme, host, path}; got != want {
			t.Errorf("splitOrigin(%q) = %q", url, got)
		}
	}
}

func TestKnows(t *testing.T) {
	t.Parallel()
	var none *Table
	if none.Knows("h.example") || none.Knows("") {
		t.Error("no table knows a host")
	}
	table := New(site("https://login.example", "https://h.example/mcp"))
	for host, want := range map[string]bool{
		"h.example": true, "H.Example.": true, "h.example:443": true, "login.example": true,
		"": false, "x.example": false, "h.example:80": false, "example": false,
	} {
		if table.Knows(host) != want {
			t.Errorf("Knows(%q) = %t", host, !want)
		}
	}
}

// The owner of a rewritten path has to be one, too; the longer of two owners decides.
func TestSec_J04_RewrittenToAnAmbiguousPath(t *testing.T) {
	t.Parallel()
	const a, long = "https://h.example/a", "https://h.example/a/long"
	table := New(site("https://h.example/oauth", a, long, "https://h.example/b"))
	for _, c := range []struct {
		original, rewritten string
		want                want
	}{
		{"/x", "/a/..;/b", badPath},
		{"/a", "/a/..;/b", badPath},
		{"/a/..;/b", "/x", badPath},
		{"/a", "/a/long", guards(long)},
		{"/a/long", "/a", guards(long)},
		{"/a", "/b", guards(a)},
		{"/b", "/a", guards("https://h.example/b")},
		{"/x", "/b", guards("https://h.example/b")},
		{"/x", "/y", next},
	} {
		if have := got(table.Route("h.example", c.original, c.rewritten)); have != c.want {
			t.Errorf("%s -> %s: %+v, want %+v", c.original, c.rewritten, have, c.want)
		}
	}
}

// Readings that one resource owns do not contradict each other, nor does one that nobody
// owns.
func TestSec_J04_ReadingsOfOneOwner(t *testing.T) {
	t.Parallel()
	const a = "https://h.example/a"
	check(t, site("https://h.example/oauth", a, "https://h.example/b"), []asked{
		{"h.example", "/a%5cx", guards(a)},
		{"h.example", "/a/..;/x", guards(a)},
		{"h.example", "/x/..;/a", guards(a)},
		{"h.example", "/a/..;/b", badPath},
		{"h.example", "/x/..;/y", next},
	})
}

// What is below the issuer is its own in every spelling, also where it has capitals.
func TestUnderAnIssuerWithCapitals(t *testing.T) {
	t.Parallel()
	check(t, site("https://h.example/OAuth", "https://h.example/mcp"), []asked{
		{"h.example", "/OAuth/token", endpoint("token")},
		{"h.example", "/oauth/token", badPath},
		{"h.example", "/OAuth/x", notFound},
		{"h.example", "/oauth/x", notFound},
		{"h.example", "/oauthx", next},
	})
}

func TestDocumentOfASlashedResource(t *testing.T) {
	t.Parallel()
	r := site("https://h/oauth", "https://h/mcp").Resources[0]
	r.URL = "https://h/mcp/"
	if got := ResourceURL(r, false); got != "https://h/mcp" {
		t.Errorf("%s", got)
	}
	// An issuer with a slash at the end has the endpoints of the one without.
	check(t, site("https://h.example/oauth/", "https://h.example/mcp"), []asked{
		{"h.example", "/oauth/token", endpoint("token")},
		{"h.example", "/.well-known/oauth-authorization-server/oauth", server},
		{"h.example", "/oauth/x", notFound},
	})
}
