// SPDX-License-Identifier: Apache-2.0

package route

import "strings"

// hostForm is the form in which hosts are compared: lower case, no dot at the end. The
// port stays; New registers the default port beside the bare name, because a request
// does not tell its scheme when something in front terminates TLS.
func hostForm(host string) string {
	name, port := splitPort(strings.ToLower(host))
	return strings.TrimSuffix(name, ".") + port
}

// splitPort cuts the port, with its colon, off host. An IPv6 address keeps its brackets.
func splitPort(host string) (name, port string) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || i < strings.LastIndexByte(host, ']') {
		return host, ""
	}
	if host[i:] == ":" {
		return host[:i], ""
	}
	return host[:i], host[i:]
}

// splitOrigin returns the scheme, host and path of an absolute URL that the
// configuration checks have accepted.
func splitOrigin(url string) (scheme, host, path string) {
	scheme, rest, _ := strings.Cut(url, "://")
	host, path, found := strings.Cut(rest, "/")
	if found {
		path = "/" + path
	}
	return scheme, host, path
}

// aliases are the forms in which requests may name the host of a URL with that scheme.
// A configured URL never has the default port.
func aliases(scheme, host string) []string {
	form := hostForm(host)
	name, port := splitPort(form)
	def := ":443"
	if scheme == "http" {
		def = ":80"
	}
	if port == "" {
		return []string{name, name + def}
	}
	return []string{form}
}
