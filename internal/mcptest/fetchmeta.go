// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/publicsuffix"
)

// setHeaders sets what browsers send with every navigation.
func (n *navigation) setHeaders(h http.Header) {
	h.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")
	h.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	h.Set("Accept-Language", "en-US,en;q=0.9")
	h.Set("Upgrade-Insecure-Requests", "1")
	if n.method == http.MethodPost {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
		h.Set("Origin", n.originHeader())
	}
	if referer := n.referer(); referer != "" {
		h.Set("Referer", referer)
	}
	if n.target.Scheme == "https" || loopback(n.target) {
		h.Set("Sec-Fetch-Site", n.fetchSite())
		h.Set("Sec-Fetch-Mode", "navigate")
		h.Set("Sec-Fetch-Dest", "document")
		h.Set("Sec-Fetch-User", "?1")
	}
}

// fetchSite is the relation of everything on the way to the page that began it. Fetch
// Metadata §2.3: a navigation that the person caused is "none", otherwise the worst
// relation in the URL list counts.
func (n *navigation) fetchSite() string {
	if n.initiator == nil {
		return "none"
	}
	site := "same-origin"
	for _, u := range append(n.chain, n.target) {
		switch {
		case origin(u) == origin(n.initiator):
		case sameSite(u, n.initiator):
			site = "same-site"
		default:
			return "cross-site"
		}
	}
	return site
}

// originHeader is what a form submission says about its page. Fetch §3.2: under
// no-referrer it is null, and under same-origin it is null for another origin.
func (n *navigation) originHeader() string {
	if n.initiator == nil {
		return "null"
	}
	crossed := len(n.chain) > 0 && origin(n.chain[len(n.chain)-1]) != origin(n.target)
	downgrade := n.initiator.Scheme == "https" && n.target.Scheme != "https"
	sameOrigin := origin(n.initiator) == origin(n.target)
	switch {
	case crossed, downgrade, n.referrers == "no-referrer", n.referrers == "same-origin" && !sameOrigin:
		return "null"
	}
	return origin(n.initiator)
}

// referer is the Referer header under the policies that pages of this module and of the
// emulator use; any other is treated as the default, strict-origin-when-cross-origin.
func (n *navigation) referer() string {
	if n.initiator == nil || n.referrers == "no-referrer" {
		return ""
	}
	if origin(n.initiator) == origin(n.target) {
		full := *n.initiator
		full.Fragment, full.User = "", nil
		return full.String()
	}
	if n.referrers == "same-origin" || n.initiator.Scheme == "https" && n.target.Scheme != "https" {
		return ""
	}
	return origin(n.initiator) + "/"
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// sameSite compares scheme and registrable domain; ports do not count.
func sameSite(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && registrable(a.Hostname()) == registrable(b.Hostname())
}

func registrable(host string) string {
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil && net.ParseIP(host) == nil {
		return domain
	}
	return host
}

// loopback tells whether browsers trust u without TLS.
func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
