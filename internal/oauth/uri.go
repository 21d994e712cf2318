// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// uri is an absolute URI in parts. It exists because net/url, browsers and other
// libraries read some texts differently; parseURI accepts only what all of them read the
// same way, so that the host which we check is the host to which a browser goes.
type uri struct {
	scheme string // lower case
	host   string // as written; an IPv6 literal keeps its brackets
	port   string // "" when absent
	path   string
	query  string // without "?"
	hasQ   bool
	rest   string // everything after the authority, as written
}

// The ways in which a URI is not usable. The texts go into error descriptions, so they
// keep to the character set of RFC 6749 §5.2.
var (
	errURICharacter = errors.New("it has a character that a URI cannot have, or a wildcard")
	errURIAbsolute  = errors.New("it must be absolute, with scheme and host")
	errURIUserinfo  = errors.New("it must not have a user or password")
	errURIHost      = errors.New("its host is not a plain host name or IP address")
	errURIPort      = errors.New("its port is not a number from 1 to 65535")
	errURIFragment  = errors.New("it must not have a fragment")
	errURIPath      = errors.New("its path has dot segments, encoded control characters or broken encoding")
)

// parseURI splits s = scheme ":" "//" [host [":" port]] path ["?" query]. The form
// scheme ":/" path (RFC 8252 §7.1) has an empty host.
func parseURI(s string) (uri, error) {
	if !plainURICharacters(s) {
		return uri{}, errURICharacter
	}
	scheme, rest, found := strings.Cut(s, ":")
	if !found || !validScheme(scheme) || !strings.HasPrefix(rest, "/") {
		return uri{}, errURIAbsolute
	}
	if strings.Contains(rest, "#") {
		return uri{}, errURIFragment
	}
	u := uri{scheme: strings.ToLower(scheme)}
	authority := ""
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		end := strings.IndexAny(after, "/?")
		if end < 0 {
			end = len(after)
		}
		authority, rest = after[:end], after[end:]
	}
	if err := u.setAuthority(authority); err != nil {
		return uri{}, err
	}
	u.rest = rest
	u.path, u.query, u.hasQ = strings.Cut(rest, "?")
	if strings.ContainsAny(rest, "[]") {
		return uri{}, errURICharacter
	}
	if !plainPath(u.path) {
		return uri{}, errURIPath
	}
	return u, nil
}

// plainURICharacters allows what RFC 3986 §2 allows but "*", which in a redirect URI can
// only be meant as a pattern.
func plainURICharacters(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}*", c) >= 0 {
			return false
		}
	}
	return true
}

// validScheme is scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ), RFC 3986 §3.1.
func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		other := '0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'
		if !letter && (i == 0 || !other) {
			return false
		}
	}
	return s != ""
}

func (u *uri) setAuthority(authority string) error {
	if strings.Contains(authority, "@") {
		return errURIUserinfo
	}
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
		if host == "" || !validPort(port) {
			return errURIPort
		}
	}
	if host != "" && !validHost(host) {
		return errURIHost
	}
	u.host, u.port = host, port
	return nil
}

// validPort has no leading zero, because some parsers keep it and others drop it.
func validPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil && s[0] != '0'
}

// validHost accepts an IPv6 literal, an IPv4 address in the dotted form, and a name of
// letters, digits, "-", "_" and "." whose last label is no number: browsers read such a
// name as an address, 0x7f.1 and 127.1 as 127.0.0.1.
func validHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Is6() && addr.Zone() == ""
	}
	if len(host) > 253 {
		return false
	}
	var last string
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || !hostLabel(label) {
			return false
		}
		last = label
	}
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(strings.ToLower(last), "0x") {
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.Is4()
	}
	return true
}

// hostLabel allows letters, digits, "_" and, inside, "-".
func hostLabel(s string) bool {
	if s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// plainPath tells whether a path means the same to everybody: percent-encoding is whole,
// and neither the path nor any decoding of it has dot segments (also before ";"
// parameters), backslashes or control characters.
func plainPath(path string) bool {
	const maxDecodings = 3
	for range maxDecodings {
		if !plainSegments(path) {
			return false
		}
		decoded, ok := percentDecode(path)
		if !ok {
			return false
		}
		if decoded == path {
			return true
		}
		path = decoded
	}
	return false
}

func plainSegments(path string) bool {
	for i := range len(path) {
		if c := path[i]; c < ' ' || c == 0x7f || c == '\\' {
			return false
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return false
		}
	}
	return true
}

// percentDecode decodes each %XX once. It is not ok where a "%" does not start one.
func percentDecode(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(n))
		i += 2
	}
	return b.String(), true
}
