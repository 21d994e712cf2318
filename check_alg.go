// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"fmt"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

// defaultAlg is the algorithm that every backend's library accepts without being told.
const defaultAlg = tokens.RS256

func checkBackendAlg(v string) error {
	if v != tokens.RS256 && v != tokens.ES256 {
		return fmt.Errorf("%q is no algorithm for the JWT of the MCP server: write RS256 or ES256", v)
	}
	return nil
}

// backendAlg resolves the algorithm of new signing keys.
func (r *resolver) backendAlg(raw *Tokens) string {
	if raw == nil || raw.BackendJWTAlg == "" {
		return defaultAlg
	}
	return r.value("tokens: backend_jwt_alg", raw.BackendJWTAlg, checkBackendAlg)
}
