// SPDX-License-Identifier: Apache-2.0

package oauth

import "net/http"

// ErrEarlyData asks for a request again. RFC 8470 §5.2: 425 says that the server is
// unwilling to risk processing a request that might be replayed; the client repeats it
// after the handshake.
var ErrEarlyData = New(InvalidRequest, "Send the request again after the TLS handshake.").WithStatus(http.StatusTooEarly)

// EarlyData tells whether a request came before the TLS handshake was complete and could
// be a replay (RFC 8470). The header Early-Data, by which a proxy says the same, is always
// believed: who sets it can only slow itself down.
func EarlyData(r *http.Request) bool {
	// RFC 8470 §5.1: "Multiple or invalid instances of the header field MUST be treated as
	// equivalent to a single instance with a value of 1 by a server." There is no other
	// valid value, so the header itself says it.
	return r.TLS != nil && !r.TLS.HandshakeComplete || len(r.Header["Early-Data"]) > 0
}
