// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/url"
	"strings"
	"testing"
)

// Each refusal names its own reason, which the developer of a client reads.
func TestCheckRedirectURIReasons(t *testing.T) {
	t.Parallel()
	exact := "https://a.example/"
	exact += strings.Repeat("a", MaxRedirectURI-len(exact))
	if err := CheckRedirectURI(exact); err != nil {
		t.Errorf("a URI of %d bytes: %v", len(exact), err)
	}
	for uri, reason := range map[string]string{
		"":                                 "it is empty",
		exact + "a":                        "it is longer than 2048 bytes",
		"https://a.example/ ":              "it has a character that a URI cannot have, or a wildcard",
		"cb":                               "it must be absolute, with scheme and host",
		"https://u@a.example/":             "it must not have a user or password",
		"https://a.example:0/":             "its port is not a number from 1 to 65535",
		"https:/cb":                        "it has no host",
		"http://a.example/cb":              "http is for localhost, 127.0.0.1 and [::1] alone",
		"http:/cb":                         "http is for localhost, 127.0.0.1 and [::1] alone",
		"myapp://cb":                       "its scheme must be https, or contain a dot as in com.example.app",
		"https://a.example/?%zz":           "its query has broken encoding or a semicolon",
		"https://a.example/?a;b":           "its query has broken encoding or a semicolon",
		"https://a.example/?a=%00":         "its query has an encoded control character",
		"https://a.example/?a=b&a=%7f":     "its query has an encoded control character",
		"https://a.example/?a%0a=b":        "its query has an encoded control character",
		"https://a.example/?a%1fb":         "its query has an encoded control character",
		"https://a.example/?a=1&state=2":   "its query has a parameter that the answer sets itself",
		"com.example.app:/cb?response=jwt": "its query has a parameter that the answer sets itself",
	} {
		e := AsError(CheckRedirectURI(uri))
		if want := "A redirect URI is not acceptable: " + reason + "."; e == nil || e.Description != want {
			t.Errorf("CheckRedirectURI(%q) = %v, want %q", uri, e, want)
		}
	}
}

func TestSec_B09_EveryReservedParameter(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"code", "state", "iss", "error", "error_description", "error_uri", "response"} {
		refuse(t, "https://a.example/cb?"+name+"=x", "https://a.example/cb?"+name, "https://a.example/cb?a=b&"+name+"=")
		if err := CheckRedirectURI("https://a.example/cb?x" + name + "=y&a=" + name); err != nil {
			t.Errorf("x%s: %v", name, err)
		}
	}
}

func TestSec_B03_PrivateSchemesAreListed(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"claude", "cursor", "vscode", "vscode-insiders"} {
		if err := CheckRedirectURI(scheme + "://host/cb"); err != nil {
			t.Error(err)
		}
		refuse(t, scheme+"x://host/cb", "x"+scheme+"://host/cb")
	}
}

// The port rule is for http on this machine and for nothing else.
func TestSec_B04_PortRuleIsForLoopbackHTTPAlone(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"https://127.0.0.1/cb", "http://127.0.0.1:5000/cb"},
		{"https://localhost/cb", "http://localhost/cb"},
		{"http://a.example/cb", "http://a.example:5000/cb"},
		{"http://a.example:1/cb", "http://a.example:2/cb"},
		{"claude://localhost/cb", "http://localhost:5000/cb"},
		{"claude://localhost/cb", "claude://localhost:5000/cb"},
		{"", "http://localhost/"},
		{"", ""},
		{"nonsense", "http://localhost/"},
		{"nonsense", "more nonsense"},
		{"http:/cb", "http://localhost/cb"},
		{"http:/cb", "http:///cb"},
		{"http://localhost/cb", "http:/cb"},
		{"http://localhost/%zz", "http://localhost:1/%zz"},
	} {
		if MatchRedirect(pair[0], pair[1]) || MatchRedirect(pair[1], pair[0]) {
			t.Errorf("%q matches %q", pair[0], pair[1])
		}
	}
	for uri, want := range map[string]string{
		"http://localhost:5000/cb?a": "http://localhost/cb?a",
		"http://127.0.0.1:1":         "http://127.0.0.1",
		"http://[::1]:1/":            "http://[::1]/",
		"http://localhost/cb":        "http://localhost/cb",
	} {
		if got := WithoutLoopbackPort(uri); got != want || !IsLoopbackRedirect(uri) {
			t.Errorf("WithoutLoopbackPort(%q) = %q, loopback %t", uri, got, IsLoopbackRedirect(uri))
		}
	}
	for _, uri := range []string{
		"", "https://localhost:5000/cb", "http://a.example:5000/cb", "http://localhost:0/cb", "HTTP://localhost:5000/cb", "claude://localhost:5000/", "http:/cb",
	} {
		if got := WithoutLoopbackPort(uri); got != uri || IsLoopbackRedirect(uri) {
			t.Errorf("WithoutLoopbackPort(%q) = %q, loopback %t", uri, got, IsLoopbackRedirect(uri))
		}
	}
}

func TestRedirectWithKeepsTheQuery(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://a.example/cb":      "https://a.example/cb?code=1%202",
		"https://a.example/cb?":     "https://a.example/cb?code=1%202",
		"https://a.example/cb?x":    "https://a.example/cb?x&code=1%202",
		"https://a.example/cb?x=1&": "https://a.example/cb?x=1&code=1%202",
		"https://a.example/cb?x=?":  "https://a.example/cb?x=?code=1%202",
	} {
		if got := RedirectWith(base, url.Values{"code": {"1 2"}}); got != want {
			t.Errorf("RedirectWith(%q) = %q, want %q", base, got, want)
		}
	}
}

func TestRedirectHostOfWhatIsRefused(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"http://a.example/cb":           " ",
		"myapp://a.example/cb":          " ",
		"https://a.example/?code=1":     " ",
		"http://localhost:443/cb":       "http localhost:443",
		"https://a.example:80/cb":       "https a.example:80",
		"claude://a.example:443/cb":     "claude a.example:443",
		"com.example.app://A.example/x": "com.example.app a.example",
	} {
		scheme, host := RedirectHost(uri)
		if got := scheme + " " + host; got != want {
			t.Errorf("RedirectHost(%q) = %q, want %q", uri, got, want)
		}
	}
}
