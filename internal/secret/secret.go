// SPDX-License-Identifier: Apache-2.0

// Package secret has a type for text that must never be printed: tokens, passwords,
// verifiers. Whatever formats, marshals or logs it sees a fixed word instead.
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// String holds a secret text. The zero value is the empty secret. Two Strings must be
// compared with Equal; the type cannot be compared with ==.
type String struct {
	_ [0]func()
	// A pointer to a pointer is the one shape that fmt never follows, whatever the verb,
	// so a secret stays unprinted in an unexported field, where fmt cannot call Format.
	s **string
}

// New wraps s.
func New(s string) String {
	if s == "" {
		return String{}
	}
	p := &s
	return String{s: &p}
}

// Reveal returns the text. Each call is a place where the secret leaves its shelter,
// so keep them few and easy to find.
func (s String) Reveal() string {
	if s.s == nil {
		return ""
	}
	return **s.s
}

// IsZero tells whether the secret is empty.
func (s String) IsZero() bool { return s.s == nil }

// Equal compares in constant time for secrets of equal length.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String implements fmt.Stringer.
func (String) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (String) GoString() string { return redacted }

// Format implements fmt.Formatter, so that no verb reaches the text.
func (String) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler, which also serves JSON.
func (String) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (String) LogValue() slog.Value { return slog.StringValue(redacted) }
