// SPDX-License-Identifier: Apache-2.0

package policy

// Claim names a claim of the JWT that a header may carry (RFC 9068 §2.2, and the claims
// that Microsoft Entra ID adds).
type Claim string

// The claims. Times and identifiers of the JWT itself say nothing about a person.
const (
	ClaimSubject           Claim = "sub"
	ClaimClientID          Claim = "client_id"
	ClaimScope             Claim = "scope"
	ClaimName              Claim = "name"
	ClaimPreferredUsername Claim = "preferred_username"
	ClaimEmail             Claim = "email"
	ClaimObjectID          Claim = "oid"
	ClaimTenant            Claim = "tid"
	ClaimRoles             Claim = "roles"
)

// Claims are all of them, in the order of the documentation.
var Claims = []Claim{
	ClaimSubject, ClaimClientID, ClaimScope, ClaimName, ClaimPreferredUsername, ClaimEmail,
	ClaimObjectID, ClaimTenant, ClaimRoles,
}
