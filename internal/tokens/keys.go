// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// Bound is what a key that is wrapped for a token depends on besides the token.
type Bound struct {
	Site             seal.Site
	Client, Resource string
}

// Mistakes of a caller.
var (
	// Only a refresh token has a successor.
	errNotRefresh = errors.New("tokens: successor of something that is no refresh token")
	// The zero Token is no key material.
	errNoToken = errors.New("tokens: the zero Token holds nothing")
)

func gen4(gen uint32) []byte { return binary.BigEndian.AppendUint32(nil, gen) }

// hold returns HKDF(token, salt = id, info) as a key: one that only the holder of the
// token has, since the record keeps no more than a hash of it.
func (t Token) hold(info []byte) (seal.Key, error) {
	if t.text.IsZero() {
		return seal.Key{}, errNoToken
	}
	return seal.NewKey(seal.HKDF([]byte(t.text.Reveal()), t.ID[:], info, seal.KeySize))
}

// place is the additional data of what is sealed for a token: site, id and generation.
func place(s seal.Site, id ID, gen uint32) []byte {
	aad := append([]byte(nil), s[:]...)
	return append(append(aad, id[:]...), gen4(gen)...)
}

func (t Token) wrappingKey(b Bound) (seal.Key, error) {
	info := append([]byte("mcpo/v1/kek"), byte(t.Type))
	info = append(info, b.Site[:]...)
	info = append(info, gen4(t.Gen)...)
	info = seal.AppendSized(info, b.Client)
	return t.hold(seal.AppendSized(info, b.Resource))
}

// WrapKey seals a data key so that only this token opens it, and only for the same
// site, client and resource.
func (t Token) WrapKey(rand io.Reader, b Bound, dek seal.Key) ([]byte, error) {
	kek, err := t.wrappingKey(b)
	if err != nil {
		return nil, err
	}
	return seal.AppendSealed(nil, rand, kek, place(b.Site, t.ID, t.Gen), dek.Bytes())
}

// UnwrapKey opens what WrapKey sealed. The error is seal.ErrOpen or seal.ErrMalformed.
func (t Token) UnwrapKey(b Bound, wrapped []byte) (seal.Key, error) {
	kek, err := t.wrappingKey(b)
	if err != nil {
		return seal.Key{}, err
	}
	raw, err := seal.OpenSealed(kek, place(b.Site, t.ID, t.Gen), wrapped)
	if err != nil {
		return seal.Key{}, err
	}
	return seal.NewKey(raw)
}

// NewDataKey returns a random data key. Each refresh takes a new one.
func NewDataKey(rand io.Reader) (seal.Key, error) { return seal.RandomKey(rand) }

func providerKey(dek seal.Key) (seal.Key, error) {
	return seal.NewKey(seal.HKDF(dek.Bytes(), nil, "mcpo/v1/provider", seal.KeySize))
}

// SealProviderToken seals the provider's token of a grant under a data key.
func SealProviderToken(rand io.Reader, dek seal.Key, s seal.Site, grant ID, t secret.String) ([]byte, error) {
	key, err := providerKey(dek)
	if err != nil {
		return nil, err
	}
	return seal.AppendSealed(nil, rand, key, append(s[:], grant[:]...), []byte(t.Reveal()))
}

// OpenProviderToken opens what SealProviderToken sealed. The error is seal.ErrOpen or
// seal.ErrMalformed.
func OpenProviderToken(dek seal.Key, s seal.Site, grant ID, sealed []byte) (secret.String, error) {
	key, err := providerKey(dek)
	if err != nil {
		return secret.String{}, err
	}
	text, err := seal.OpenSealed(key, append(s[:], grant[:]...), sealed)
	if err != nil {
		return secret.String{}, err
	}
	return secret.New(string(text)), nil
}

func (t Token) successorKey(s seal.Site, gen uint32) (seal.Key, error) {
	if t.Type != Refresh {
		return seal.Key{}, errNotRefresh
	}
	info := append([]byte("mcpo/v1/successor"), s[:]...)
	return t.hold(append(info, gen4(gen)...))
}

// SealSuccessor seals the tokens that replace this refresh token, so that its holder
// can be given the same ones again after a lost answer. gen is their generation.
func (t Token) SealSuccessor(rand io.Reader, s seal.Site, gen uint32, plaintext []byte) ([]byte, error) {
	key, err := t.successorKey(s, gen)
	if err != nil {
		return nil, err
	}
	return seal.AppendSealed(nil, rand, key, place(s, t.ID, gen), plaintext)
}

// OpenSuccessor opens what SealSuccessor sealed. The error is seal.ErrOpen or
// seal.ErrMalformed.
func (t Token) OpenSuccessor(s seal.Site, gen uint32, sealed []byte) ([]byte, error) {
	key, err := t.successorKey(s, gen)
	if err != nil {
		return nil, err
	}
	return seal.OpenSealed(key, place(s, t.ID, gen), sealed)
}
