// SPDX-License-Identifier: Apache-2.0

// Package pkce implements Proof Key for Code Exchange (RFC 7636) with the one method
// that OAuth 2.1 leaves: S256. It serves both legs, the client's proof to us and ours to
// the upstream provider, and uses the standard library alone.
package pkce

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// Method is the only code_challenge_method (RFC 7636 §4.2). "plain" is never accepted.
const Method = "S256"

// Lengths of RFC 7636 §4.1 and of a base64url SHA-256, in characters.
const (
	minVerifier     = 43
	maxVerifier     = 128
	challengeLength = 43
)

// The ways in which a check fails. A caller tells them apart because they end
// differently: a verifier outside the grammar is a malformed request, a verifier that
// does not match proves that somebody else holds the code.
var (
	// ErrVerifier says that a code_verifier breaks the grammar of RFC 7636 §4.1.
	ErrVerifier = errors.New("pkce: code_verifier must be 43 to 128 unreserved characters")
	// ErrChallenge says that a code_challenge is not an S256 challenge.
	ErrChallenge = errors.New("pkce: code_challenge must be 43 characters of base64url")
	// ErrMismatch says that the code_verifier is not the one of the code_challenge.
	ErrMismatch = errors.New("pkce: code_verifier does not match code_challenge")
)

// Challenge returns BASE64URL-ENCODE(SHA256(ASCII(verifier))), RFC 7636 §4.2.
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// NewVerifier returns a verifier of 43 characters that carries 256 bits read from rand,
// as RFC 7636 §4.1 recommends. It fails only where rand does.
func NewVerifier(rand io.Reader) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("pkce: reading randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// CheckChallenge returns ErrChallenge unless challenge can be the S256 challenge of some
// verifier: unpadded base64url of 32 bytes in canonical form (spare bits zero).
func CheckChallenge(challenge string) error {
	if len(challenge) != challengeLength {
		return ErrChallenge
	}
	// The decoder skips line breaks, so what it read must also encode to what was sent.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	if err != nil || base64.RawURLEncoding.EncodeToString(raw) != challenge {
		return ErrChallenge
	}
	return nil
}

// Verify returns nil when verifier belongs to challenge, ErrVerifier when it breaks the
// grammar and ErrMismatch otherwise. The comparison takes constant time.
func Verify(challenge, verifier string) error {
	if !validVerifier(verifier) {
		return ErrVerifier
	}
	// RFC 7636 §4.6: "If the values are not equal, an error response indicating
	// "invalid_grant" ... MUST be returned."
	if subtle.ConstantTimeCompare([]byte(Challenge(verifier)), []byte(challenge)) != 1 {
		return ErrMismatch
	}
	return nil
}

// validVerifier is code-verifier = 43*128unreserved, RFC 7636 §4.1.
func validVerifier(v string) bool {
	if len(v) < minVerifier || len(v) > maxVerifier {
		return false
	}
	for i := range len(v) {
		c := v[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}
