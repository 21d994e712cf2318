// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// hostBytes is the longest host shown: that of the DNS (RFC 1035 §2.3.4) and a port.
const hostBytes = 253 + len(":65535")

// names maps a host name as browsers do (UTS #46, non-transitional) without the limits of
// registries, since the host was accepted elsewhere and only has to be shown.
var names = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// target is where the answer goes, in the form that people can compare.
type target struct {
	// host is the host with port, or for a private-use scheme the scheme and host.
	host string
	// loopback: some program on the person's computer. private: some app on the device.
	loopback, private bool
}

// targetOf reads a redirect URI. Everything shown comes from the URI itself, so a caller
// cannot forget a warning.
func targetOf(redirectURI string) target {
	u, err := url.Parse(redirectURI)
	if err != nil || u.Scheme == "" {
		return target{host: hostText(redirectURI)}
	}
	if u.Scheme == "https" || u.Scheme == "http" {
		return target{host: displayHost(u.Host), loopback: isLoopback(u.Hostname())}
	}
	host := u.Scheme + ":"
	if u.Host != "" {
		host += "//" + displayHost(u.Host)
	}
	return target{host: host, private: true}
}

// displayHost writes a host, with its port if any, in ASCII: international names as
// punycode (RFC 5891 A-labels), so that look-alike letters show as what they are.
func displayHost(hostport string) string {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = strings.Trim(hostport, "[]"), ""
	}
	host = displayName(host)
	if port != "" {
		host += ":" + port
	}
	return hostText(host)
}

func displayName(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Is6() {
			return "[" + ip.String() + "]"
		}
		return ip.String()
	}
	if a, err := names.ToASCII(host); err == nil {
		return a
	}
	if a, err := idna.Punycode.ToASCII(strings.ToLower(host)); err == nil {
		return a
	}
	return strings.ToLower(host)
}

// hostText cuts too long a host at its beginning: its end says whose it is.
func hostText(host string) string {
	host = ascii(host)
	if len(host) > hostBytes {
		return "..." + host[len(host)-hostBytes:]
	}
	return host
}

// ascii replaces what no host and no URI contains by a question mark (RFC 3986 §2).
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune("\"<>`\\^{|}", r) {
			return '?'
		}
		return r
	}, s)
}

// breakable splits a long host where a narrow screen may break the line: before a dot and
// after a scheme. Short ones stay whole.
func breakable(host string) []string {
	const fits = 18 // characters of the largest size on the narrowest phone
	if len(host) <= fits {
		return []string{host}
	}
	return strings.Split(strings.NewReplacer(".", "\x00.", "//", "//\x00").Replace(host), "\x00")
}

// isLoopback: RFC 8252 §7.3 and §8.3, with "localhost" and names under it (RFC 6761 §6.3).
func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
