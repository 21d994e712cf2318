// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"slices"
	"strings"
)

// OfflineAccess is the scope by which clients ask for refresh tokens (OpenID Connect
// Core §11). It is accepted and echoed everywhere, and guards nothing.
const OfflineAccess = "offline_access"

// Scopes is a set of scope tokens in a stable order, without duplicates.
type Scopes []string

// ParseScopes splits the value of a scope parameter (RFC 6749 §3.3) and drops repeats.
// Its order is that of the parameter.
func ParseScopes(s string) Scopes {
	var out Scopes
	for f := range strings.FieldsSeq(s) {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// String joins the scopes as a scope parameter.
func (s Scopes) String() string { return strings.Join(s, " ") }

// Has tells whether the set contains scope.
func (s Scopes) Has(scope string) bool { return slices.Contains(s, scope) }

// HasAll tells whether the set contains each scope of other.
func (s Scopes) HasAll(other Scopes) bool {
	for _, o := range other {
		if !s.Has(o) {
			return false
		}
	}
	return true
}

// Union returns s followed by what other adds to it.
func (s Scopes) Union(other Scopes) Scopes {
	out := slices.Clone(s)
	for _, o := range other {
		if !out.Has(o) {
			out = append(out, o)
		}
	}
	return out
}

// Without returns s less one scope.
func (s Scopes) Without(scope string) Scopes {
	return slices.DeleteFunc(slices.Clone(s), func(x string) bool { return x == scope })
}

// ValidScope tells whether s is one scope token: 1*( %x21 / %x23-5B / %x5D-7E ),
// RFC 6749 §3.3.
func ValidScope(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
