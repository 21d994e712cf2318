// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

// freshPatience is how long the key set waits for news of the keys.
const freshPatience = time.Second

// jwks publishes the keys that sign the backends' tokens: those in use, those that come
// next and those that just retired (RFC 7517). A backend that asks may have met a key that
// another node made a moment ago, so the keys are those of 10 seconds ago at most; while
// the store is away they are those that this node knows.
func (s *active) jwks(w http.ResponseWriter, r *http.Request, c Call) {
	ctx, cancel := context.WithTimeout(r.Context(), freshPatience)
	defer cancel()
	_ = s.Vault.Follow(ctx)
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
