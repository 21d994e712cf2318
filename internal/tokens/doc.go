// SPDX-License-Identifier: Apache-2.0

// Package tokens makes and checks the tokens of this server: opaque ones for clients
// and JWTs for backends.
//
// An opaque token (access token, refresh token, authorization code) is a typed prefix
// and 96 characters. It names the record behind it, the rotation that minted it and the
// root that authenticated it, so an invented token is refused without reading the store.
// It is also key material: what a record keeps for its holder alone, above all the
// provider's refresh token, is sealed under keys derived from the token, of which the
// record has only a hash.
//
// A backend gets a JWT access token (RFC 9068) instead, signed with a key whose public
// part is in the JWK set of the issuer.
package tokens
