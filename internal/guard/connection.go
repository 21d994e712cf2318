// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"strings"
)

// isConnectionOption tells which options of Connection are about the connection itself.
// RFC 9110 §7.6.1 has proxies remove every field that Connection names; a client that
// names Authorization would have the proxy remove the header that the guard has just set.
func isConnectionOption(option string) bool {
	return strings.EqualFold(option, "keep-alive") || strings.EqualFold(option, "close") || strings.EqualFold(option, "upgrade")
}

// isTrailers tells the one value of TE that goes beyond this hop.
func isTrailers(coding string) bool { return strings.EqualFold(coding, "trailers") }

// keep leaves those items of a list header that ok accepts.
func keep(h http.Header, name string, ok func(string) bool) {
	var kept []string
	whole := true
	for _, v := range h[name] {
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); ok(item) {
				kept = append(kept, item)
			} else {
				whole = false
			}
		}
	}
	switch {
	case whole:
	case len(kept) == 0:
		delete(h, name)
	default:
		h[name] = []string{strings.Join(kept, ", ")}
	}
}
