// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"fmt"
	"time"
)

// SigningState is where a signing key is in its life.
type SigningState string

// The states of a signing key, in the order in which it passes them.
const (
	SigningNext    SigningState = "next"    // published, not yet used
	SigningActive  SigningState = "active"  // published, signs
	SigningRetired SigningState = "retired" // published until the last JWT and cache are past their life
)

// SigningKey is a private key behind the JWTs for backends. This package keeps it and
// does not use it.
type SigningKey struct {
	KID string
	// Alg is the JWS algorithm (RFC 7518 §3.1): RS256 or ES256.
	Alg   string
	State SigningState
	// Created is when the key was made and first published. NotAfter is when it is
	// replaced while active, when it is removed once retired, and zero before. Whole
	// seconds UTC.
	Created, NotAfter time.Time

	pkcs8 **[]byte // hidden from fmt as in Key
}

// NewSigningKey returns a key in state next. pkcs8 is the private key in DER
// (RFC 5958), which is copied.
func NewSigningKey(kid, alg string, pkcs8 []byte, created time.Time) SigningKey {
	der := append([]byte(nil), pkcs8...)
	hidden := &der
	return SigningKey{
		KID: kid, Alg: alg, State: SigningNext,
		Created: created.UTC().Truncate(time.Second), pkcs8: &hidden,
	}
}

// PKCS8 returns a copy of the private key in DER, nil for the zero SigningKey.
func (s SigningKey) PKCS8() []byte {
	if s.pkcs8 == nil {
		return nil
	}
	return append([]byte(nil), **s.pkcs8...)
}

// Format implements fmt.Formatter: a SigningKey shows no private part.
func (s SigningKey) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "signing key %s %s %s", s.KID, s.Alg, s.State)
}
