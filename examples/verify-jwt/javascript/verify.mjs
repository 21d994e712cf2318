// SPDX-License-Identifier: Apache-2.0

// Verifies the JWT of mcp_oauth with the npm package jose. Copy it into an MCP server that
// is written in JavaScript or TypeScript.

import { createRemoteJWKSet, jwtVerify } from 'jose'

// verifier returns a function that resolves to the claims of a valid token, which is what
// follows "Bearer " in the header Authorization, and rejects any other.
export function verifier(issuer, audience) {
  const keys = createRemoteJWKSet(new URL(issuer + '/jwks'))
  return async (token) => {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: ['RS256', 'ES256'],
      // RFC 9068 section 4: the resource server MUST verify the type.
      typ: 'at+jwt',
      // The library accepts a token that does not end.
      requiredClaims: ['exp', 'sub', 'client_id'],
    })
    return payload
  }
}
