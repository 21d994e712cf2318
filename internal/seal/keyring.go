// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"fmt"
	"io"
	"time"
)

// Keyring is every key that a site has. It is a value to read: whoever changes one
// makes a copy first (Clone).
type Keyring struct {
	Roots []Root
	// Index hashes people and clients. It is made once and never replaced, since
	// records are found by it.
	Index Key
	// Signing are the keys behind the JWTs for backends.
	Signing []SigningKey
	// Resealed is when the keyring last moved to another master key; zero before that.
	Resealed time.Time
}

// ActiveRoot returns the root under which new things are made.
func (k Keyring) ActiveRoot() (Root, bool) { return k.rootIn(RootActive) }

// PreviousRoot returns the root that was active before.
func (k Keyring) PreviousRoot() (Root, bool) { return k.rootIn(RootPrevious) }

func (k Keyring) rootIn(state RootState) (Root, bool) {
	for _, r := range k.Roots {
		if r.State == state {
			return r, true
		}
	}
	return Root{}, false
}

// Root returns the root that kid names.
func (k Keyring) Root(kid KID) (Root, bool) {
	for _, r := range k.Roots {
		if r.KID == kid {
			return r, true
		}
	}
	return Root{}, false
}

// BrowserRoots returns the roots that may stand behind something that a browser holds
// for minutes (login tokens, state handles, cookies): the active one, then the previous.
func (k Keyring) BrowserRoots() []Root {
	var out []Root
	for _, state := range []RootState{RootActive, RootPrevious} {
		if r, ok := k.rootIn(state); ok {
			out = append(out, r)
		}
	}
	return out
}

// ActiveSigning returns the key that signs.
func (k Keyring) ActiveSigning() (SigningKey, bool) {
	for _, s := range k.Signing {
		if s.State == SigningActive {
			return s, true
		}
	}
	return SigningKey{}, false
}

// PersonIndex hashes the natural id of a person. The hash is keyed, so that a dump of
// the store cannot confirm a guess.
func (k Keyring) PersonIndex(id string) [32]byte {
	return k.Index.HMAC(AppendSized([]byte("mcpo/v1/person"), id))
}

// ClientIndex hashes a client id.
func (k Keyring) ClientIndex(id string) [32]byte {
	return k.Index.HMAC(AppendSized([]byte("mcpo/v1/client"), id))
}

// Clone returns a copy whose lists can be changed.
func (k Keyring) Clone() Keyring {
	k.Roots = append([]Root(nil), k.Roots...)
	k.Signing = append([]SigningKey(nil), k.Signing...)
	return k
}

// Format implements fmt.Formatter: a Keyring shows how much it holds.
func (k Keyring) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, fmt.Sprintf("keyring of %d roots, %d signing keys", len(k.Roots), len(k.Signing)))
}
