// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// handURL reads an accepted redirect URI by RFC 3986 appendix B alone.
var handURL = regexp.MustCompile(`\A([A-Za-z][A-Za-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(#.*)?\z`)

// handHost returns the host of the authority as the strictest reader sees it.
func handHost(authority string) (string, bool) {
	if strings.ContainsAny(authority, "@\\%") {
		return "", false
	}
	if strings.HasPrefix(authority, "[") {
		host, rest, found := strings.Cut(authority[1:], "]")
		_, err := netip.ParseAddr(host)
		return host, found && err == nil && (rest == "" || rest[0] == ':')
	}
	host, _, _ := strings.Cut(authority, ":")
	return host, true
}

// browserNumber is a host whose last label a browser reads as a number, and the host
// therefore as an IPv4 address in one of its odd spellings.
var browserNumber = regexp.MustCompile(`(?i)(\A|\.)([0-9]+|0x[0-9a-f]*)\.?\z`)

// FuzzRedirectURI: every accepted URI has one host, whoever reads it, and matches nothing
// with another host.
func FuzzRedirectURI(f *testing.F) {
	for _, s := range []string{
		"https://a.example/cb?x=1", "http://127.0.0.1:5000/cb", "http://[::1]/", "com.example.app:/cb",
		`https://good\@evil/`, "https://0x7f.1/", "https://a@b/", "https://[::ffff:1.2.3.4]:8/", "cursor://x/y",
		"https://1.2.3.4/", "https://a.0x/", "https://a_b.example/%41", "http://localhost:1/%2e",
	} {
		f.Add(s, "http://127.0.0.1:1/cb")
	}
	f.Fuzz(func(t *testing.T, uri, other string) {
		if CheckRedirectURI(uri) != nil {
			if IsLoopbackRedirect(uri) && MatchRedirect(uri, other) && uri != other && CheckRedirectURI(other) == nil {
				t.Fatalf("%q is refused and matches %q", uri, other)
			}
			return
		}
		checkOneHost(t, uri)
		if MatchRedirect(uri, other) && uri != other {
			checkOneHost(t, other)
			a, b := handURL.FindStringSubmatch(uri), handURL.FindStringSubmatch(other)
			ha, _ := handHost(a[2])
			hb, _ := handHost(b[2])
			if ha != hb || a[1] != "http" || b[1] != "http" || a[3] != b[3] || a[4] != b[4] || !IsLoopbackHost(ha) {
				t.Fatalf("%q matches %q", uri, other)
			}
		}
	})
}

func checkOneHost(t *testing.T, uri string) {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatalf("accepted %q, net/url says %v", uri, err)
	}
	m := handURL.FindStringSubmatch(uri)
	if m == nil || m[5] != "" || u.User != nil || u.Fragment != "" {
		t.Fatalf("accepted %q", uri)
	}
	host, ok := handHost(m[2])
	if !ok || host != u.Hostname() || !strings.EqualFold(u.Scheme, m[1]) {
		t.Fatalf("accepted %q: host %q by hand, %q by net/url", uri, host, u.Hostname())
	}
	if host == "" && (u.Scheme == "https" || u.Scheme == "http") {
		t.Fatalf("accepted %q without a host", uri)
	}
	if addr, err := netip.ParseAddr(host); !strings.Contains(host, ":") && browserNumber.MatchString(host) && (err != nil || addr.String() != host) {
		t.Fatalf("accepted %q, whose host is a number to a browser", uri)
	}
	if u.Scheme == "http" && !IsLoopbackHost(u.Host) {
		t.Fatalf("accepted %q", uri)
	}
}
