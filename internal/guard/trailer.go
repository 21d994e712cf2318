// SPDX-License-Identifier: Apache-2.0

package guard

import "net/http"

// withoutTrailers takes from a request what follows its body. RFC 9110 §6.5.1 lets a
// recipient merge a trailer into the header only where the field allows that, but there
// are servers which merge all, and a client could send there what Apply has just removed:
// its token, or who it claims to be. MCP has no trailers, and an intermediary may drop
// them.
func withoutTrailers(r *http.Request) { r.Trailer = nil }

// unsayable are the fields that a backend must not send in either place.
var unsayable = [...]string{"Www-Authenticate", "Proxy-Authenticate", "Service-Worker-Allowed", "Set-Cookie"}

// dropAnnounced takes from the list of trailers that an answer announces what must not be
// among them. What is not announced is not sent.
func dropAnnounced(h http.Header) {
	keep(h, "Trailer", func(name string) bool {
		name = http.CanonicalHeaderKey(name)
		for _, u := range unsayable {
			if name == u {
				return false
			}
		}
		return true
	})
}

// unannounced are the names by which handlers send trailers that they did not announce.
var unannounced = func() (names [len(unsayable)]string) {
	for i, u := range unsayable {
		names[i] = http.TrailerPrefix + u
	}
	return names
}()

// dropUnannounced removes such trailers. They are sent when the handler has returned.
func dropUnannounced(h http.Header) {
	for _, name := range unannounced {
		delete(h, name)
	}
}
