// SPDX-License-Identifier: Apache-2.0

package guard

import "net/http"

// unsayable are the fields that a backend must send neither in the header of its answer nor
// after the body.
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
