// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// Type is what a token is for. A token of one type is never accepted as another.
type Type byte

// The types of opaque tokens.
const (
	Access  Type = 'a' // mcpo_at_…, RFC 6749 §1.4
	Refresh Type = 'r' // mcpo_rt_…, RFC 6749 §1.5
	Code    Type = 'c' // mcpo_ac_…, RFC 6749 §1.3.1
)

// Length is the number of characters of every opaque token.
const Length = prefixLen + 96

const (
	prefixLen   = len("mcpo_at_")
	version     = 0x01
	headLen     = 1 + 3 + 16 + 4 // version, kid, id, generation
	secretLen   = 32
	macLen      = 16
	encodedSize = headLen + secretLen + macLen // 72: a multiple of 3, no spare bits
)

func (t Type) prefix() string {
	switch t {
	case Access:
		return "mcpo_at_"
	case Refresh:
		return "mcpo_rt_"
	case Code:
		return "mcpo_ac_"
	default:
		return ""
	}
}

// ID names the record behind a token: the grant for access and refresh tokens, the code
// itself for a code. It is not secret.
type ID [16]byte

// NewID returns a random ID.
func NewID(rand io.Reader) (ID, error) {
	var id ID
	if _, err := io.ReadFull(rand, id[:]); err != nil {
		return ID{}, fmt.Errorf("tokens: reading randomness: %w", err)
	}
	return id, nil
}

// String returns 32 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Token is an opaque token. Parse only takes it apart; it proves nothing before Verify
// or a comparison of Hash with a stored one.
type Token struct {
	Type Type
	ID   ID
	// Gen is the rotation of the grant that minted the token; 0 for a code.
	Gen uint32
	// KID names the root that authenticates the token.
	KID seal.KID

	text secret.String
}

// Mint makes a token with a new secret.
func Mint(rand io.Reader, root seal.Root, s seal.Site, t Type, id ID, gen uint32) (Token, error) {
	if t.prefix() == "" {
		return Token{}, fmt.Errorf("tokens: no type %q", byte(t))
	}
	b := make([]byte, 0, encodedSize)
	b = append(b, version)
	b = append(b, root.KID[:]...)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint32(b, gen)
	b = b[:headLen+secretLen]
	if _, err := io.ReadFull(rand, b[headLen:]); err != nil {
		return Token{}, fmt.Errorf("tokens: reading randomness: %w", err)
	}
	mac := macOf(root, s, t, b)
	text := t.prefix() + base64.RawURLEncoding.EncodeToString(append(b, mac[:]...))
	return Token{Type: t, ID: id, Gen: gen, KID: root.KID, text: secret.New(text)}, nil
}

// macOf authenticates head and secret of a token. The secret goes in as a hash, so that
// a MAC could be checked by somebody who holds hashes alone.
func macOf(root seal.Root, s seal.Site, t Type, b []byte) [macLen]byte {
	sum := sha256.Sum256(b[headLen : headLen+secretLen])
	mac := root.TokenMAC([]byte("mcpo/v1/token"), []byte{byte(t)}, s[:], b[:headLen], sum[:])
	return [macLen]byte(mac[:macLen])
}

// Parse takes a token of the wanted type apart: exact prefix, length, alphabet and
// version. It does no cryptography.
func Parse(t Type, text string) (Token, bool) {
	b, ok := decode(t, text)
	if !ok {
		return Token{}, false
	}
	return Token{
		Type: t, KID: seal.KID(b[1:4]), ID: ID(b[4:20]), Gen: binary.BigEndian.Uint32(b[20:headLen]),
		text: secret.New(text),
	}, true
}

// ParseAny is Parse for a token of one of several types.
func ParseAny(text string, types ...Type) (Token, bool) {
	for _, t := range types {
		if parsed, ok := Parse(t, text); ok {
			return parsed, true
		}
	}
	return Token{}, false
}

func decode(t Type, text string) (b [encodedSize]byte, ok bool) {
	if len(text) != Length || t.prefix() == "" || !strings.HasPrefix(text, t.prefix()) {
		return b, false
	}
	// The decoder skips line breaks; with one of them fewer bytes come out.
	n, err := base64.RawURLEncoding.Decode(b[:], []byte(text[prefixLen:]))
	return b, err == nil && n == encodedSize && b[0] == version
}

// Verify tells whether root made the token for this site. The root must be the one that
// KID names.
func (t Token) Verify(root seal.Root, s seal.Site) bool {
	b, ok := decode(t.Type, t.text.Reveal())
	if !ok || root.KID != t.KID {
		return false
	}
	want := macOf(root, s, t.Type, b[:])
	return hmac.Equal(want[:], b[encodedSize-macLen:])
}

// SecretLength is the length of the random part of a token, in bytes.
const SecretLength = secretLen

// Secret returns the random part. Mint makes the same token of it again, under the same
// root and for the same type, id and generation. It is zero for the zero Token.
func (t Token) Secret() [SecretLength]byte {
	b, _ := decode(t.Type, t.text.Reveal())
	return [SecretLength]byte(b[headLen : headLen+secretLen])
}

// Text returns the token as the client holds it.
func (t Token) Text() secret.String { return t.text }

// Hash returns what a record keeps of the token.
func (t Token) Hash() [32]byte { return Hash(t.text.Reveal()) }

// Hash returns the SHA-256 of a whole token. Tokens have 256 random bits, so a plain
// hash suffices.
func Hash(text string) [32]byte {
	// On the stack: the guard calls this for each request.
	var buf [Length]byte
	return sha256.Sum256(append(buf[:0], text...))
}

// Format implements fmt.Formatter: a Token shows what it names, never itself.
func (t Token) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "token %c %s gen %d kid %s", byte(t.Type), t.ID, t.Gen, t.KID)
}
