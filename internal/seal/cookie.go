// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"time"
)

const formKeyVersion = 0x01

// NewFormKey returns the value that is both in the form of the consent page and in its
// cookie (a double submit): 256 random bits, and the time, by which the oldest of many
// cookies is found.
func NewFormKey(rand io.Reader, now time.Time) (string, error) {
	b := make([]byte, 1, 1+4+32)
	b[0] = formKeyVersion
	b = binary.BigEndian.AppendUint32(b, uint32(now.Unix()))
	b = b[:cap(b)]
	if _, err := io.ReadFull(rand, b[5:]); err != nil {
		return "", fmt.Errorf("seal: reading randomness: %w", err)
	}
	return encode64(b), nil
}

// ParseFormKey returns when a form key was made, to the second, and its random part; ok
// is false for anything that NewFormKey does not make. The time is the browser's word
// and no proof.
func ParseFormKey(text string) (made time.Time, random [32]byte, ok bool) {
	b, ok := decode64(text)
	if !ok || len(b) != 1+4+32 || b[0] != formKeyVersion {
		return time.Time{}, random, false
	}
	copy(random[:], b[5:])
	return time.Unix(int64(binary.BigEndian.Uint32(b[1:5])), 0).UTC(), random, true
}

// Binding returns the value of the cookie that ties a login to one browser. random is
// that of the browser's form key, so that an answer sent twice has one binding.
func (r Root) Binding(s Site, tid [16]byte, random [32]byte) string {
	mac := r.BindKey().HMAC([]byte("mcpo/v1/bind"), s[:], tid[:], random[:])
	return encode64(mac[:])
}

// FormCookie is the name of the cookie with the form key of a login. A cookie that is
// not secure, which exists for an http issuer on loopback alone, cannot have the
// __Host- prefix (RFC 6265bis §4.1.3.2).
func FormCookie(s Site, tid [16]byte, secure bool) string { return cookieName("f", s, tid, secure) }

// BindingCookie is the name of the cookie that holds the Binding of a login.
func BindingCookie(s Site, tid [16]byte, secure bool) string { return cookieName("b", s, tid, secure) }

// FormCookiePrefix begins the name of every form cookie of a site.
func FormCookiePrefix(s Site, secure bool) string { return cookiePrefix("f", s, secure) }

func cookieName(letter string, s Site, tid [16]byte, secure bool) string {
	return cookiePrefix(letter, s, secure) + hex.EncodeToString(tid[:8])
}

func cookiePrefix(letter string, s Site, secure bool) string {
	prefix := "mcpo_dev_"
	if secure {
		prefix = "__Host-mcpo_"
	}
	return prefix + letter + "_" + hex.EncodeToString(s[:4]) + "_"
}
