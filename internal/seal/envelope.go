// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// Class says what kind of key sealed an envelope.
type Class byte

// The classes of keys.
const (
	ClassMaster Class = 0 // Master.KeyringKey: the keyring
	ClassRoot   Class = 1 // Root.RecordKey: every other record
)

const (
	envelopeVersion = 0x01
	algAES256GCM    = 0x01

	headerSize = 8 // "MO", version, algorithm, class, kid
	nonceSize  = 12
	tagSize    = 16
	// minEnvelope has a schema byte and no more.
	minEnvelope = headerSize + nonceSize + 1 + tagSize
)

// ErrMalformed says that something is no envelope or sealed value of this format.
var ErrMalformed = errors.New("seal: malformed")

// ErrOpen says that a sealed value did not open: another key, another place, or changed
// bytes. The three cannot be told apart.
var ErrOpen = errors.New("seal: does not open")

// Binding is where an envelope belongs. It opens with exactly the Binding it was sealed
// with, so a record cannot be put in another's place, and a new version number cannot be
// put on an old value.
type Binding struct {
	Site    Site
	Kind    string
	ID      [32]byte
	Version [16]byte
	// Person and Client are the record's index entries; zero where it has none.
	Person, Client [32]byte
}

// aad is the additional data: the envelope's header and the whole Binding.
func (b Binding) aad(header []byte) []byte {
	out := make([]byte, 0, headerSize+len(b.Site)+2+len(b.Kind)+32+16+32+32)
	out = append(out, header...)
	out = append(out, b.Site[:]...)
	out = AppendSized(out, b.Kind)
	out = append(out, b.ID[:]...)
	out = append(out, b.Version[:]...)
	out = append(out, b.Person[:]...)
	return append(out, b.Client[:]...)
}

// Seal returns the envelope of a plaintext of the given schema: 37 bytes longer than
// the plaintext. It fails only where rand does.
func Seal(rand io.Reader, k Key, class Class, kid KID, b Binding, schema byte, plaintext []byte) ([]byte, error) {
	out := make([]byte, 0, minEnvelope+len(plaintext))
	out = append(out, 'M', 'O', envelopeVersion, algAES256GCM, byte(class))
	out = append(out, kid[:]...)
	message := make([]byte, 0, 1+len(plaintext)+tagSize)
	message = append(append(message, schema), plaintext...)
	return AppendSealed(out, rand, k, b.aad(out), message)
}

// Header reads which key an envelope names, without opening it. The error is
// ErrMalformed.
func Header(envelope []byte) (Class, KID, error) {
	if len(envelope) < minEnvelope || string(envelope[:4]) != "MO\x01\x01" {
		return 0, KID{}, ErrMalformed
	}
	return Class(envelope[4]), KID(envelope[5:headerSize]), nil
}

// Open returns what Seal was given, provided that key and Binding are the same. The
// error is ErrMalformed or ErrOpen.
func Open(k Key, envelope []byte, b Binding) (schema byte, plaintext []byte, err error) {
	if _, _, err := Header(envelope); err != nil {
		return 0, nil, err
	}
	header, sealed := envelope[:headerSize], envelope[headerSize:]
	message, err := OpenSealed(k, b.aad(header), sealed)
	if err != nil {
		return 0, nil, err
	}
	return message[0], message[1:], nil
}

// AppendSealed appends nonce, ciphertext and tag of AES-256-GCM to dst. The nonce is 12
// bytes of rand.
func AppendSealed(dst []byte, rand io.Reader, k Key, aad, plaintext []byte) ([]byte, error) {
	var nonce [nonceSize]byte
	if _, err := io.ReadFull(rand, nonce[:]); err != nil {
		return nil, fmt.Errorf("seal: reading randomness: %w", err)
	}
	dst = append(dst, nonce[:]...)
	return newGCM(k.raw()).Seal(dst, nonce[:], plaintext, aad), nil
}

// OpenSealed opens what AppendSealed appended. The error is ErrMalformed or ErrOpen.
func OpenSealed(k Key, aad, sealed []byte) ([]byte, error) {
	if len(sealed) < nonceSize+tagSize {
		return nil, ErrMalformed
	}
	plaintext, err := newGCM(k.raw()).Open(nil, sealed[:nonceSize], sealed[nonceSize:], aad)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCM(block); err == nil {
			return aead
		}
	}
	// Only a wrong key length can fail, and all keys here have KeySize bytes.
	panic("seal: " + err.Error())
}
