// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/sha256"
	"fmt"
	"io"
)

const (
	loginVersion = 0x01
	saltSize     = 32
	// loginPrefix is what stands before the ciphertext of a login token.
	loginPrefix = 1 + len(KID{}) + saltSize
)

// tidOf names a login. The name follows from the salt of the login token, so a token can start
// one login and no more.
func tidOf(salt []byte) [16]byte {
	sum := sha256.Sum256(append([]byte("mcpo/v1/tid"), salt...))
	return [16]byte(sum[:16])
}

// loginSecrets derives the key and nonce of one login token. The salt is random, so each
// key is used once and its nonce needs no randomness of its own.
func (r Root) loginSecrets(s Site, salt []byte) (Key, []byte) {
	info := append([]byte("mcpo/v1/login-token"), s[:]...)
	out := HKDF(r.LoginKey().raw(), salt, info, KeySize+nonceSize)
	return hideKey([KeySize]byte(out)), out[KeySize:]
}

// SealLogin makes a login token: a checked authorization request that travels through
// the consent page instead of being stored. The caller puts the time of issue into the
// plaintext. tid names the login that the token can start.
func SealLogin(rand io.Reader, r Root, s Site, plaintext []byte) (token string, tid [16]byte, err error) {
	out := make([]byte, loginPrefix, loginPrefix+len(plaintext)+tagSize)
	out[0] = loginVersion
	copy(out[1:], r.KID[:])
	salt := out[loginPrefix-saltSize:]
	if _, err := io.ReadFull(rand, salt); err != nil {
		return "", tid, fmt.Errorf("seal: reading randomness: %w", err)
	}
	tid = tidOf(salt)
	key, nonce := r.loginSecrets(s, salt)
	aad := append(append([]byte(nil), out...), s[:]...)
	out = newGCM(key.raw()).Seal(out, nonce, plaintext, aad)
	return encode64(out), tid, nil
}

// OpenLogin opens a login token. lookup finds the root that it names; a retired root
// opens none, since login tokens live for minutes. The error is ErrMalformed or ErrOpen
// and a definite no, unless lookup knows better.
func OpenLogin(lookup func(KID) (Root, bool), s Site, token string) (plaintext []byte, tid [16]byte, err error) {
	b, ok := decode64(token)
	if !ok || len(b) < loginPrefix+tagSize || b[0] != loginVersion {
		return nil, tid, ErrMalformed
	}
	root, ok := lookup(KID(b[1:4]))
	if !ok || root.State == RootRetired {
		return nil, tid, ErrOpen
	}
	prefix, sealed := b[:loginPrefix], b[loginPrefix:]
	salt := prefix[loginPrefix-saltSize:]
	key, nonce := root.loginSecrets(s, salt)
	aad := append(append([]byte(nil), prefix...), s[:]...)
	plaintext, err = newGCM(key.raw()).Open(nil, nonce, sealed, aad)
	if err != nil {
		return nil, tid, ErrOpen
	}
	return plaintext, tidOf(salt), nil
}
