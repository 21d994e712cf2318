// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"fmt"
	"hash"
	"io"
	"sync"
	"time"
)

// RootState is where a root is in its life.
type RootState string

// The states of a root, in the order in which it passes them.
const (
	RootActive   RootState = "active"   // seals and opens
	RootPrevious RootState = "previous" // opens, also what a browser holds for minutes
	RootRetired  RootState = "retired"  // opens records and verifies tokens
)

// Root is a random secret of the keyring from which working keys are derived.
type Root struct {
	KID    KID
	Secret Key
	State  RootState
	// Created is when the root was made, Replaced when it stopped being active (zero
	// until then); whole seconds UTC.
	Created, Replaced time.Time

	// token is the key that every invented token makes the guard use, derived beforehand;
	// zero where nobody did. macs are HMAC states that were made for it.
	token Key
	macs  *sync.Pool
}

// NewRoot makes an active root.
func NewRoot(rand io.Reader, now time.Time) (Root, error) {
	secret, err := RandomKey(rand)
	if err != nil {
		return Root{}, err
	}
	r := Root{KID: kidOf(secret), Secret: secret, State: RootActive, Created: now.UTC().Truncate(time.Second)}
	return r.prepared(), nil
}

// prepared returns r with the key for tokens at hand.
func (r Root) prepared() Root {
	r.token = r.TokenKey()
	r.macs = new(sync.Pool)
	return r
}

// LoginKey is the key behind login tokens.
func (r Root) LoginKey() Key { return r.Secret.derive([]byte("mcpo/v1/login")) }

// StateKey authenticates state handles.
func (r Root) StateKey() Key { return r.Secret.derive([]byte("mcpo/v1/state")) }

// BindKey authenticates binding cookies.
func (r Root) BindKey() Key { return r.Secret.derive([]byte("mcpo/v1/bind")) }

// TokenKey authenticates access tokens, refresh tokens and codes.
func (r Root) TokenKey() Key {
	if !r.token.IsZero() {
		return r.token
	}
	return r.Secret.derive([]byte("mcpo/v1/token"))
}

// TokenMAC is TokenKey().HMAC(parts...).
func (r Root) TokenMAC(parts ...[]byte) [32]byte {
	if r.macs == nil {
		return r.TokenKey().HMAC(parts...)
	}
	h, ok := r.macs.Get().(hash.Hash)
	if !ok {
		h = r.token.newHMAC()
	}
	defer r.macs.Put(h)
	h.Reset()
	return sumOf(h, parts)
}

// RecordKey is the key of one record: a key seals only the versions of one record, so
// random nonces stay far from their bound (NIST SP 800-38D §8.3: 2^32 per key).
func (r Root) RecordKey(s Site, kind string, id [32]byte) Key {
	info := append([]byte("mcpo/v1/record"), s[:]...)
	info = AppendSized(info, kind)
	return r.Secret.derive(append(info, id[:]...))
}

// Format implements fmt.Formatter: a Root shows its kid and state alone.
func (r Root) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "root %s %s", r.KID, r.State) }
