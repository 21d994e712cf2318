// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

// jwks publishes the keys that sign the backends' tokens: those in use, those that come
// next and those that just retired (RFC 7517).
func (s *active) jwks(w http.ResponseWriter, r *http.Request, c Call) {
	ring, err := s.Vault.Keyring(r.Context())
	if err != nil {
		s.fail(w, r, c, err)
		return
	}
	body, err := tokens.JWKS(ring.Signing)
	if err != nil {
		s.fail(w, r, c, err)
		return
	}
	sum := sha256.Sum256(body)
	document{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}.serve(w, r)
}
