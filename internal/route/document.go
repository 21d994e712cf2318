// SPDX-License-Identifier: Apache-2.0

package route

import (
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// MetadataURL is where the document of r is (RFC 9728 §3.1: the well-known string is
// inserted between host and path), for the spelling with or without a slash at the end.
// A comma in the path is percent-encoded, because some clients split the challenge that
// carries this URL at every comma.
func MetadataURL(r *policy.Resource, slash bool) string {
	return r.Origin + strings.ReplaceAll(metadataPath(r, slash), ",", "%2C")
}

func metadataPath(r *policy.Resource, slash bool) string {
	p := resourceDocument + trimmed(r.Path)
	if slash {
		p += "/"
	}
	return p
}

// ResourceURL is the identifier that the document of r shows: the configured spelling,
// or the other one where the request asked for it. RFC 9728 §3.3: "The resource value
// returned MUST be identical to the protected resource's resource identifier value into
// which the well-known URI path suffix was inserted". The root document keeps the
// configured spelling, since both have the same path.
func ResourceURL(r *policy.Resource, slash bool) string {
	switch {
	case slash:
		return trimmed(r.URL) + "/"
	case r.IsRoot():
		return r.URL
	default:
		return trimmed(r.URL)
	}
}

func trimmed(path string) string { return strings.TrimSuffix(path, "/") }

// isSlash tells whether a request to path is for the spelling of r with the slash. At the
// root both spellings have the path "/", so there the configured one stands.
func isSlash(r *policy.Resource, path string) bool {
	p := trimmed(r.Path)
	return p != "" && len(path) == len(p)+1 && path[len(p)] == '/' && path[:len(p)] == p
}
