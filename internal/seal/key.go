// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
)

// KeySize is the length of every symmetric key in bytes.
const KeySize = 32

const redacted = "[redacted]"

var errKeySize = fmt.Errorf("seal: a key is %d bytes long", KeySize)

// Key is a symmetric key of 32 bytes. The zero Key is no key: deriving or
// authenticating with it panics, since everybody knows it.
type Key struct {
	// A pointer to a pointer, the one shape that fmt never follows, whatever the verb: a
	// Key stays unprinted even in an unexported field, where fmt cannot call Format.
	b **[KeySize]byte
}

// hideKey makes a Key with one allocation.
func hideKey(raw [KeySize]byte) Key {
	cell := &struct {
		p *[KeySize]byte
		b [KeySize]byte
	}{b: raw}
	cell.p = &cell.b
	return Key{b: &cell.p}
}

// NewKey copies raw, which must have KeySize bytes.
func NewKey(raw []byte) (Key, error) {
	if len(raw) != KeySize {
		return Key{}, errKeySize
	}
	return hideKey([KeySize]byte(raw)), nil
}

// RandomKey reads a new key from rand.
func RandomKey(rand io.Reader) (Key, error) {
	var b [KeySize]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return Key{}, fmt.Errorf("seal: reading randomness: %w", err)
	}
	return hideKey(b), nil
}

// IsZero tells whether k is no key.
func (k Key) IsZero() bool { return k.b == nil }

// Bytes returns a copy of the key. Each call is a place where it leaves its shelter.
func (k Key) Bytes() []byte { return append([]byte(nil), k.raw()...) }

func (k Key) raw() []byte {
	if k.b == nil {
		panic("seal: use of the zero Key")
	}
	return (*k.b)[:]
}

// Equal compares in constant time.
func (k Key) Equal(other Key) bool { return hmac.Equal(k.raw(), other.raw()) }

// HMAC returns the HMAC-SHA-256 (RFC 2104) of the concatenated parts. Callers see to it
// that the concatenation is unambiguous.
func (k Key) HMAC(parts ...[]byte) [32]byte {
	return sumOf(k.newHMAC(), parts)
}

func (k Key) newHMAC() hash.Hash { return hmac.New(sha256.New, k.raw()) }

func sumOf(h hash.Hash, parts [][]byte) (sum [32]byte) {
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// derive returns HKDF(k, no salt, info) as a key.
func (k Key) derive(info []byte) Key {
	return hideKey([KeySize]byte(HKDF(k.raw(), nil, info, KeySize)))
}

// String implements fmt.Stringer.
func (Key) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Key) GoString() string { return redacted }

// Format implements fmt.Formatter, so that no verb reaches the key.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText fails: a key belongs in a keyring (Keyring.Encode) or in an envelope, and
// a placeholder in its stead would lose it silently.
func (Key) MarshalText() ([]byte, error) {
	return nil, errors.New("seal: a key does not marshal")
}
