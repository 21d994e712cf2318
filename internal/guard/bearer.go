// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"strings"
)

// maxToken bounds what is taken for a token at all; ours have 104 characters.
const maxToken = 4096

// bearer returns the token of a request (RFC 6750 §2.1). Tokens in a form body are not
// looked at.
func bearer(h http.Header) (string, error) {
	values := h["Authorization"]
	if len(values) > 1 {
		// RFC 6750 §2: "Clients MUST NOT use more than one method to transmit the token".
		return "", errSeveralHeaders
	}
	if len(values) == 0 {
		return "", errNoToken
	}
	// RFC 9110 §11.1: the scheme is case-insensitive. RFC 6750 §2.1: one space follows.
	scheme, token, found := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errNoToken
	}
	if !found || token == "" {
		return "", errNoToken
	}
	// RFC 6750 §3.1: invalid_token is for a token that "is expired, revoked, malformed, or
	// invalid for other reasons".
	if len(token) > maxToken || !token68(token) {
		return "", errMalformed
	}
	return token, nil
}

// token68 tells whether s is 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
// (RFC 9110 §11.2).
func token68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		if !token68Bytes[body[i]] {
			return false
		}
	}
	return body != ""
}

var token68Bytes = func() (out [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/" {
		out[c] = true
	}
	return out
}()
