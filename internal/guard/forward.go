// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"strings"
	"unicode"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// forwarded returns the values of the target's headers in their order, each ended by a
// line feed, which no value contains.
func forwarded(t *Target, a *Access) string {
	var b strings.Builder
	for _, h := range t.Resource.Forward {
		b.WriteString(claimText(h.Claim, t.Policy, a))
		b.WriteByte('\n')
	}
	return b.String()
}

// claimText is a claim as a header carries it.
func claimText(c policy.Claim, p *policy.Policy, a *Access) string {
	switch c {
	case policy.ClaimSubject:
		return HeaderValue(a.Person.Subject)
	case policy.ClaimClientID:
		return HeaderValue(a.Client)
	case policy.ClaimScope:
		return HeaderValue(p.Closure(a.Scopes).String())
	case policy.ClaimName:
		return HeaderValue(a.Person.Name)
	case policy.ClaimPreferredUsername:
		return HeaderValue(a.Person.PreferredUsername)
	case policy.ClaimEmail:
		return HeaderValue(verifiedEmail(a.Person))
	case policy.ClaimObjectID:
		return HeaderValue(a.Person.ObjectID)
	case policy.ClaimTenant:
		return HeaderValue(a.Person.Tenant)
	case policy.ClaimRoles:
		roles := make([]string, len(a.Person.Roles))
		for i, r := range a.Person.Roles {
			roles[i] = strings.ReplaceAll(HeaderValue(r), ",", "%2C")
		}
		return strings.Join(roles, ",")
	}
	return ""
}

// HeaderValue is text as a header may carry it (RFC 9110 §5.5): control characters are
// dropped, a percent sign and everything outside ASCII are percent-encoded as UTF-8, and
// spaces around it go. Bytes that are no UTF-8 are encoded as they are.
func HeaderValue(text string) string {
	plain := true
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f || c == '%' {
			plain = false
		}
	}
	if plain {
		return strings.TrimSpace(text)
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, part := range strings.FieldsFunc(text, unicode.IsControl) {
		for i := range len(part) {
			if c := part[i]; c < 0x80 && c != '%' {
				b.WriteByte(c)
			} else {
				b.WriteByte('%')
				b.WriteByte(digits[c>>4])
				b.WriteByte(digits[c&15])
			}
		}
	}
	return strings.TrimSpace(b.String())
}

// StripForwarded removes the headers of the target that say who a person is, in every
// spelling that a backend could take for them. A request that nobody vouched for must not
// carry them either.
func (t *Target) StripForwarded(h http.Header) {
	if len(t.Resource.Forward) == 0 {
		return
	}
	for name := range h {
		for _, f := range t.Resource.Forward {
			if isAlias(name, f.Name) {
				delete(h, name)
				break
			}
		}
	}
}

// setForwarded sets the headers from their values.
func (t *Target) setForwarded(h http.Header, values string) {
	for _, f := range t.Resource.Forward {
		var v string
		if v, values, _ = strings.Cut(values, "\n"); v != "" {
			h[f.Name] = []string{v}
		}
	}
}
