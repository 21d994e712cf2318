// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// Allow is a list of blocks, one of which must hold. The empty Allow lets everyone in.
type Allow []Block

// Block is a list of lines, all of which must hold.
type Block []Line

// Line is one rule with the values of which one must match.
type Line struct {
	// Attribute is user, role or domain.
	Attribute string
	Values    []string
}

// Permits tells whether p may use what the rules protect. An absent claim is no.
func (a Allow) Permits(p provider.Person) bool {
	return len(a) == 0 || slices.ContainsFunc(a, func(b Block) bool { return b.holds(p) })
}

// holds is false for a block without lines: a rule that says nothing lets nobody in.
func (b Block) holds(p provider.Person) bool {
	return len(b) > 0 && !slices.ContainsFunc(b, func(l Line) bool { return !l.holds(p) })
}

func (l Line) holds(p provider.Person) bool {
	switch l.Attribute {
	case "user":
		return slices.ContainsFunc(l.Values, func(v string) bool { return isUser(v, p) })
	case "role":
		return slices.ContainsFunc(l.Values, func(v string) bool { return slices.Contains(p.Roles, v) })
	case "domain":
		d, ok := verifiedDomain(p)
		return ok && slices.ContainsFunc(l.Values, func(v string) bool { return strings.ToLower(v) == d })
	default:
		return false
	}
}

// isUser matches the sub of the JWT, an Entra object id, or a verified e-mail address.
func isUser(v string, p provider.Person) bool {
	if v == "" {
		return false
	}
	if v == p.Subject || strings.EqualFold(v, p.ObjectID) {
		return true
	}
	// Unicode folds letters that look alike into one (U+212A into k); addresses do not.
	return p.EmailVerified && asciiLower(v) == asciiLower(p.Email)
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// verifiedDomain returns the domain of a verified address. Exactly one @ and an ASCII
// domain: anything else could be read differently elsewhere, so it is no.
func verifiedDomain(p provider.Person) (string, bool) {
	local, domain, found := strings.Cut(p.Email, "@")
	if !p.EmailVerified || !found || local == "" || domain == "" || strings.Contains(domain, "@") {
		return "", false
	}
	for i := range len(domain) {
		c := domain[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '.' {
			return "", false
		}
	}
	return strings.ToLower(domain), true
}
