// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestParseURI(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]uri{
		"HTTPS://A.example:8443/cb?x=1?y": {scheme: "https", host: "A.example", port: "8443", path: "/cb", query: "x=1?y", hasQ: true, rest: "/cb?x=1?y"},
		"https://a.example":               {scheme: "https", host: "a.example"},
		"https://a.example?x":             {scheme: "https", host: "a.example", query: "x", hasQ: true, rest: "?x"},
		"https://a.example/cb?":           {scheme: "https", host: "a.example", path: "/cb", hasQ: true, rest: "/cb?"},
		"https://a.example:1/":            {scheme: "https", host: "a.example", port: "1", path: "/", rest: "/"},
		"https://[::1]:5000/":             {scheme: "https", host: "[::1]", port: "5000", path: "/", rest: "/"},
		"https://[::1]/":                  {scheme: "https", host: "[::1]", path: "/", rest: "/"},
		"com.example.app:/cb":             {scheme: "com.example.app", path: "/cb", rest: "/cb"},
		"com.example.app:/":               {scheme: "com.example.app", path: "/", rest: "/"},
		"com.example.app:///cb":           {scheme: "com.example.app", path: "/cb", rest: "/cb"},
		"a://b":                           {scheme: "a", host: "b"},
		"a:/b//c":                         {scheme: "a", path: "/b//c", rest: "/b//c"},
	} {
		if got, err := parseURI(s); err != nil || got != want {
			t.Errorf("parseURI(%q) = %+v, %v; want %+v", s, got, err, want)
		}
	}
	for s, want := range map[string]error{
		"":                          errURIAbsolute,
		"https":                     errURIAbsolute,
		"https:":                    errURIAbsolute,
		"https:a.example/":          errURIAbsolute,
		"/cb":                       errURIAbsolute,
		"://a.example/":             errURIAbsolute,
		"1a://a.example/":           errURIAbsolute,
		"a_b://a.example/":          errURIAbsolute,
		"https://a.example/ ":       errURICharacter,
		"https://a.example/*":       errURICharacter,
		"https://a.example/[":       errURICharacter,
		"https://a.example/]":       errURICharacter,
		"https://a.example/?[":      errURICharacter,
		"https://a.example/?]":      errURICharacter,
		"https://a.example/#f":      errURIFragment,
		"https://a.example#f":       errURIFragment,
		"https://u@a.example/":      errURIUserinfo,
		"https://u:p@a.example/":    errURIUserinfo,
		"https://a.example:0/":      errURIPort,
		"https://a.example:/":       errURIPort,
		"https://:80/":              errURIPort,
		"https://a..example/":       errURIHost,
		"https://a.-/":              errURIHost,
		"https://[::1/":             errURIHost,
		"https://a.example/..":      errURIPath,
		"https://a.example/%0a":     errURIPath,
		"https://a.example/%zz":     errURIPath,
		"https://a.example/%25250a": errURIPath,
	} {
		if got, err := parseURI(s); !errors.Is(err, want) || got != (uri{}) {
			t.Errorf("parseURI(%q) = %+v, %v; want %v", s, got, err, want)
		}
	}
}

// around has each byte at the beginning, in the middle, at the end and alone.
func around() []string {
	var all []string
	for i := range 256 {
		c := string([]byte{byte(i)})
		all = append(all, c, c+"a", "a"+c, "a"+c+"b")
	}
	return all
}

// Character by character the rules are those of the grammars, written once more.
func TestURICharacterClasses(t *testing.T) {
	t.Parallel()
	scheme := regexp.MustCompile(`\A[A-Za-z][A-Za-z0-9+.-]*\z`)
	label := regexp.MustCompile(`\A[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\z`)
	// RFC 3986 §2: unreserved, gen-delims, sub-delims without "*", and "%".
	characters := regexp.MustCompile(`\A[A-Za-z0-9._~:/?#\[\]@!$&'()+,;=%-]*\z`)
	segment := regexp.MustCompile(`\A[^\x00-\x1f\x7f\\]*\z`)
	for _, s := range around() {
		if got := validScheme(s); got != scheme.MatchString(s) {
			t.Errorf("validScheme(%q) = %t", s, got)
		}
		if got := hostLabel(s); got != label.MatchString(s) {
			t.Errorf("hostLabel(%q) = %t", s, got)
		}
		if got := plainURICharacters(s); got != characters.MatchString(s) {
			t.Errorf("plainURICharacters(%q) = %t", s, got)
		}
		if got, want := plainSegments(s), segment.MatchString(s) && s != "."; got != want {
			t.Errorf("plainSegments(%q) = %t", s, got)
		}
		if got, want := hasControl(s), strings.ContainsAny(s, "\x00\x01\x02\x03\x04\x05\x06\x07\b\t\n\v\f\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"); got != want {
			t.Errorf("hasControl(%q) = %t", s, got)
		}
	}
	if validScheme("") || !plainURICharacters("") || !plainSegments("") || hasControl("") {
		t.Error("the empty text is judged wrongly")
	}
}

func TestValidPort(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"1", "80", "443", "10000", "65535"} {
		if !validPort(s) {
			t.Errorf("port %q is refused", s)
		}
	}
	for _, s := range []string{"", "0", "00", "01", "080", "+80", "-1", " 80", "80 ", "8x", "0x50", "65536", "100000", "99999999999999999999"} {
		if validPort(s) {
			t.Errorf("port %q is accepted", s)
		}
	}
}

func TestValidHost(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat(strings.Repeat("a", 62)+".", 4) + "b" // 253 bytes
	for _, s := range []string{
		"a", "a.example", "a-b.example", "a_b.example", "_a.example", "A.EXAMPLE", "1.example", "0x1.example", "a.b0x1", "127.0.0.1", "255.255.255.255",
		"0.0.0.0", "[::1]", "[2001:db8::1]", "[::ffff:1.2.3.4]", "1.2.3.a", "a.1b", strings.Repeat("a", 63) + ".example", longest,
	} {
		if !validHost(s) {
			t.Errorf("host %q is refused", s)
		}
	}
	for _, s := range []string{
		"", ".", "a.", ".a", "a..b", "-a.example", "a-.example", "a.example-", "a b", "a%41", "a:b", "1", "127.1", "1.2.3.256", "1.2.3.04", "1.2.3.4.5",
		"a.1", "a.0", "a.9", "a.0x", "a.0X7f", "a.0xg", "0x7f000001", "a.example.0xzz", "[::1", "::1", "[]", "[::1]]", "[[::1]", "[1.2.3.4]", "[a.example]",
		"[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1%]", strings.Repeat("a", 64) + ".example", longest + "c", strings.Repeat("a.", 127) + "aa",
	} {
		if validHost(s) {
			t.Errorf("host %q is accepted", s)
		}
	}
}

func TestPlainPath(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "/", "/a", "/a/", "/a.b", "/...", "/a..", "/..a", "/%41", "/%2541", "/a%2fb", "/.;", "/;..",
	} {
		want := s != "/.;"
		if plainPath(s) != want {
			t.Errorf("plainPath(%q) is %t", s, !want)
		}
	}
	for _, s := range []string{
		"/.", "/..", "/./", "/../", "/a/.", "/a/..", "/..;", "/..;a", "/.;a/b", "/%2e", "/%2e%2e", "/%252e", "/%25252e", "/%2525252541", `/\`, "/%5c",
		"/%00", "/%1f", "/%7f", "/%255c", "/%", "/%4", "/%zz", "/%4z", "/%z4", "/%25zz", "/\x00", "/\x1f", "/\x7f",
	} {
		if plainPath(s) {
			t.Errorf("plainPath(%q) is true", s)
		}
	}
}

func TestPercentDecode(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "", "abc": "abc", "%41": "A", "a%41": "aA", "%41b": "Ab", "a%41b%42c": "aAbBc", "%4a%4A": "JJ", "%ff%00": "\xff\x00", "%25": "%", "%2541": "%41",
	} {
		if got, ok := percentDecode(s); !ok || got != want {
			t.Errorf("percentDecode(%q) = %q, %t", s, got, ok)
		}
	}
	for _, s := range []string{"%", "a%", "%4", "a%4", "%zz", "%4z", "%z4", "%+1", "%-1", "% 1", "%41%", "%%41"} {
		if got, ok := percentDecode(s); ok {
			t.Errorf("percentDecode(%q) = %q", s, got)
		}
	}
	for i := range 256 {
		for _, format := range []string{"%%%02x", "%%%02X"} {
			if got, ok := percentDecode(fmt.Sprintf(format, i)); !ok || got != string([]byte{byte(i)}) {
				t.Errorf("byte %d is decoded to %q", i, got)
			}
		}
	}
}
