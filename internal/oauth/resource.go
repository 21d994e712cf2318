// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"net"
	"strings"
)

// CanonicalResource returns the form in which two spellings of one resource identifier
// (RFC 8707 §2) are equal: scheme and host in lower case, no default port, no single
// trailing slash. It returns "" for whatever is no such identifier: not an absolute http
// or https URL, or one with user, query, fragment, dot segments or doubled slashes. It is
// for comparison alone; documents and tokens keep the configured spelling.
func CanonicalResource(url string) string {
	u, err := parseURI(url)
	if err != nil || u.host == "" || u.hasQ || strings.Contains(u.path, "//") {
		return ""
	}
	port := u.port
	switch u.scheme {
	case "https":
		port = withoutDefault(port, "443")
	case "http":
		port = withoutDefault(port, "80")
	default:
		return ""
	}
	if port != "" {
		port = ":" + port
	}
	return u.scheme + "://" + strings.ToLower(u.host) + port + strings.TrimSuffix(u.path, "/")
}

func withoutDefault(port, def string) string {
	if port == def {
		return ""
	}
	return port
}

// CheckResourceURL tells why url cannot be the identifier of a configured resource, or
// returns nil. The identifier is shown to clients that compare bytes, so it must be in
// the form that everybody writes: https (http on loopback only), lower-case host, no
// default port, no query or fragment (RFC 8707 §2, RFC 9728 §1.2), plain path.
func CheckResourceURL(url string) error {
	u, err := checkConfiguredURL(url)
	if err != nil {
		return err
	}
	if u.path != "/" && strings.HasSuffix(u.path, "/") {
		return errors.New("leave out the slash at the end: the path with the slash is answered too")
	}
	return nil
}

// CheckIssuer tells why issuer cannot be an issuer identifier, or returns nil. RFC 8414
// §2: "a URL that uses the "https" scheme and has no query or fragment components"; in
// addition it must have no slash at the end, because clients compare it byte for byte.
// http is accepted on loopback, for development.
func CheckIssuer(issuer string) error {
	u, err := checkConfiguredURL(issuer)
	if err != nil {
		return err
	}
	if strings.HasSuffix(u.path, "/") {
		return errors.New("leave out the slash at the end: clients compare the issuer byte for byte")
	}
	return nil
}

func checkConfiguredURL(s string) (uri, error) {
	u, err := parseURI(s)
	switch {
	case err != nil:
		return uri{}, err
	case u.host == "" || u.scheme != "https" && u.scheme != "http":
		return uri{}, errors.New("it must start with https://")
	case u.scheme == "http" && !IsLoopbackHost(u.host):
		return uri{}, errors.New("it must start with https://; http is for localhost, 127.0.0.1 and [::1] alone")
	case u.hasQ:
		return uri{}, errors.New("it must not have a query")
	case !strings.HasPrefix(s, u.scheme+"://"+strings.ToLower(u.host)):
		return uri{}, errors.New("write scheme and host in lower case")
	case u.scheme == "https" && u.port == "443" || u.scheme == "http" && u.port == "80":
		return uri{}, errors.New("leave out the default port")
	case !configuredPath(u.path):
		return uri{}, errors.New("its path may have letters, digits and the characters - . _ ~ : @ + , = only, without doubled slashes")
	case u.path == "/.well-known" || strings.HasPrefix(u.path, "/.well-known/"):
		return uri{}, errors.New("its path must not be under /.well-known, where the documents are")
	}
	return u, nil
}

// configuredPath keeps out everything that a shell, a header or another URL parser could
// understand differently: the URL travels into metadata, commands and logs.
func configuredPath(path string) bool {
	for i := range len(path) {
		c := path[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("/-._~:@+,=", c) >= 0:
		default:
			return false
		}
	}
	return !strings.Contains(path, "//")
}

// IsLoopbackHost tells whether host means this machine: localhost, 127.0.0.1 or ::1, in
// any case, with or without brackets and port. Nothing else is loopback here, neither
// 127.0.0.2 nor a name below .localhost (RFC 8252 §7.3 names the literals; MCP clients
// use localhost too).
func IsLoopbackHost(host string) bool {
	bracketed := strings.HasPrefix(host, "[")
	if h, port, err := net.SplitHostPort(host); err == nil && validPort(port) {
		host = h
		if bracketed {
			host = "[" + h + "]"
		}
	}
	switch strings.ToLower(host) {
	case "localhost", "127.0.0.1", "[::1]", "::1":
		return true
	}
	return false
}
