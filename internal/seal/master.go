// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Master is the administrator's key. It seals the keyring and nothing else.
type Master struct {
	key Key
	kid KID
}

// NewMaster makes a Master of 32 bytes of full entropy, never of a passphrase.
func NewMaster(raw []byte) (Master, error) {
	k, err := NewKey(raw)
	if err != nil {
		return Master{}, fmt.Errorf("seal: a master key is %d bytes long, not %d", KeySize, len(raw))
	}
	return Master{key: k, kid: kidOf(k)}, nil
}

func kidOf(k Key) KID { return KID(HKDF(k.raw(), nil, "mcpo/v1/kid", 3)) }

// ParseMaster reads a master key from base64: standard or URL-safe alphabet, with or
// without padding; space around it is ignored, since files end with a line break. The
// error never contains the text.
func ParseMaster(text string) (Master, error) {
	unified := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(strings.TrimSpace(text), "="))
	raw, err := base64.RawURLEncoding.DecodeString(unified)
	if err != nil {
		return Master{}, errors.New("seal: a master key is written in base64")
	}
	return NewMaster(raw)
}

// KID names the key in everything that it sealed.
func (m Master) KID() KID { return m.kid }

// KeyringKey is the key under which the keyring of a site is sealed.
func (m Master) KeyringKey(s Site) Key {
	return m.key.derive(append([]byte("mcpo/v1/keyring"), s[:]...))
}

// Format implements fmt.Formatter: a Master shows its kid alone.
func (m Master) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "master "+m.kid.String()) }

// Fingerprint identifies a set of master keys whatever their order, as hex; the empty
// set is "". It says which configurations can share one keyring.
func Fingerprint(masters []Master) string {
	prints := make([]string, len(masters))
	for i, m := range masters {
		prints[i] = hex.EncodeToString(HKDF(m.key.raw(), nil, "mcpo/v1/fp", 16))
	}
	slices.Sort(prints)
	return strings.Join(prints, "")
}

// DuplicateKID tells whether two of the keys have one kid: the same key twice or, once
// in 16 million pairs, two keys that cannot be told apart. Either is a configuration
// error.
func DuplicateKID(masters []Master) bool {
	seen := make(map[KID]bool, len(masters))
	for _, m := range masters {
		if seen[m.kid] {
			return true
		}
		seen[m.kid] = true
	}
	return false
}
