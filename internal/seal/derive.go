// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
)

// HKDF returns n bytes of HKDF-SHA-256 (RFC 5869); a nil salt means none.
func HKDF[Info ~string | ~[]byte](secret, salt []byte, info Info, n int) []byte {
	out, err := hkdf.Key(sha256.New, secret, salt, string(info), n)
	if err != nil {
		// RFC 5869 §2.3 bounds n by 255 hashes; every caller asks for a constant.
		panic("seal: " + err.Error())
	}
	return out
}

// AppendSized appends x preceded by its length as uint16, which keeps a concatenation
// of several fields unambiguous. It panics where x is longer than 65535 bytes.
func AppendSized[T ~string | ~[]byte](b []byte, x T) []byte {
	if len(x) > math.MaxUint16 {
		panic("seal: field longer than 65535 bytes")
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(x)))
	return append(b, x...)
}

// Site is what separates one issuer from every other in keys, stored records and tokens:
// the first 8 bytes of SHA-256(issuer).
type Site [8]byte

// SiteOf returns the Site of an issuer identifier, which is compared byte for byte.
func SiteOf(issuer string) Site {
	sum := sha256.Sum256([]byte(issuer))
	return Site(sum[:8])
}

// String returns 16 hex digits.
func (s Site) String() string { return hex.EncodeToString(s[:]) }

// KID names a master key or a root. It is short, not secret, and no proof of anything.
type KID [3]byte

// String returns 6 hex digits.
func (k KID) String() string { return hex.EncodeToString(k[:]) }

// KeyID returns the identifier under which a record is stored, for all kinds but
// person: a hash, so that a key says nothing and fits every backend.
func KeyID(kind, naturalID string) [32]byte {
	b := AppendSized([]byte("mcpo/v1/id"), kind)
	return sha256.Sum256(append(b, naturalID...))
}

var strict64 = base64.RawURLEncoding.Strict()

func encode64(b []byte) string { return strict64.EncodeToString(b) }

// decode64 accepts the one text that encode64 makes of some bytes. The decoder of the
// standard library skips line breaks even when strict, which would give one token
// several spellings.
func decode64(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	b, err := strict64.DecodeString(text)
	return b, err == nil
}
