// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"fmt"
	"unicode/utf8"
)

const (
	// MaxHeader is the most bytes of "Bearer " and a JWT after Fit. Many servers take no
	// more than 8 KiB of a header.
	MaxHeader = 8 << 10
	// maxName is how many characters of a name are told: it is for display alone.
	maxName = 256
	// maxAddress is the most bytes of a user name or e-mail address (RFC 5321 §4.5.3.1: 64
	// before the sign, 255 after it).
	maxAddress = 320
)

// Fit makes the claims fit into a header. A long name is cut. A user name or an address is
// never cut, since it would be somebody else's: one that is too long is left out. Where
// the whole is too long, claims are left out one after the other: roles, all of them or
// none, name, preferred_username, email. dropped names what was left out. An error says
// that what is left is still too long, which comes from the configuration or from sub.
func (s *Signer) Fit(c Claims) (fitted Claims, dropped []string, err error) {
	c.Name = clip(c.Name, maxName)
	drop := func(name string, claim *string) {
		if *claim != "" {
			*claim = ""
			dropped = append(dropped, name)
		}
	}
	if len(c.PreferredUsername) > maxAddress {
		drop("preferred_username", &c.PreferredUsername)
	}
	if len(c.Email) > maxAddress {
		drop("email", &c.Email)
	}
	size := 0
	for _, next := range []func(){
		func() {},
		func() {
			if len(c.Roles) > 0 {
				c.Roles = nil
				dropped = append(dropped, "roles")
			}
		},
		func() { drop("name", &c.Name) },
		func() { drop("preferred_username", &c.PreferredUsername) },
		func() { drop("email", &c.Email) },
	} {
		next()
		if size, err = s.size(c); err != nil || size <= MaxHeader {
			return c, dropped, err
		}
	}
	return c, dropped, fmt.Errorf("tokens: the JWT has %d bytes without any claim that can be left out, and %d are allowed", size, MaxHeader)
}

// size is how long the header with a JWT is.
func (s *Signer) size(c Claims) (int, error) {
	text, err := s.unsigned(c).SigningString()
	if err != nil {
		return 0, fmt.Errorf("tokens: encoding claims: %w", err)
	}
	return len("Bearer ") + len(text) + len(".") + s.signature, nil
}

// clip returns the first n characters of text.
func clip(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	end := 0
	for i := range text {
		if n == 0 {
			end = i
			break
		}
		n--
	}
	return text[:end]
}
