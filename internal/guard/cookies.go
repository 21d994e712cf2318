// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"strings"
)

// ourCookies are the beginnings of the names of our cookies, on https and on loopback.
var ourCookies = [...]string{"__host-mcpo_", "mcpo_dev_"}

// isOurs tells whether a cookie pair, "name=value", is ours. Case does not count, nor
// does an equals sign in front: browsers take "=name=value" for a cookie without a name,
// and some servers read it as one with.
func isOurs(pair string) bool {
	pair = strings.TrimLeft(pair, " \t=")
	for _, prefix := range ourCookies {
		if len(pair) >= len(prefix) && strings.EqualFold(pair[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// stripCookies removes our cookies from a request; the others keep every byte.
func stripCookies(h http.Header) {
	var out []string
	found := false
	for _, v := range h["Cookie"] {
		var kept []string
		for pair := range strings.SplitSeq(v, ";") {
			if isOurs(pair) {
				found = true
			} else {
				kept = append(kept, pair)
			}
		}
		if rest := strings.TrimLeft(strings.Join(kept, ";"), " "); rest != "" {
			out = append(out, rest)
		}
	}
	replace(h, "Cookie", out, found)
}

// stripSetCookies removes our cookies from a backend's answer: it must not plant one.
func stripSetCookies(h http.Header) {
	var out []string
	found := false
	for _, v := range h["Set-Cookie"] {
		if isOurs(v) {
			found = true
		} else {
			out = append(out, v)
		}
	}
	replace(h, "Set-Cookie", out, found)
}

func replace(h http.Header, name string, values []string, changed bool) {
	switch {
	case !changed:
	case len(values) == 0:
		delete(h, name)
	default:
		h[name] = values
	}
}
