// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The stored form of a keyring. Only Encode and DecodeKeyring know it, so that no other
// way of marshalling reaches a key.
type (
	keyringJSON struct {
		Roots    []rootJSON    `json:"roots"`
		Index    []byte        `json:"index"`
		Signing  []signingJSON `json:"signing"`
		Resealed int64         `json:"resealed,omitempty"`
	}
	rootJSON struct {
		KID      string    `json:"kid"`
		Secret   []byte    `json:"secret"`
		State    RootState `json:"state"`
		Created  int64     `json:"created"`
		Replaced int64     `json:"replaced,omitempty"`
	}
	signingJSON struct {
		KID      string       `json:"kid"`
		Alg      string       `json:"alg"`
		PKCS8    []byte       `json:"pkcs8"`
		State    SigningState `json:"state"`
		Created  int64        `json:"created"`
		NotAfter int64        `json:"not_after,omitempty"`
	}
)

// Encode returns the keyring with its keys in clear, as JSON to be sealed. It fails for
// a keyring that DecodeKeyring would refuse.
func (k Keyring) Encode() ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	out := keyringJSON{Index: k.Index.Bytes(), Resealed: toUnix(k.Resealed), Signing: []signingJSON{}}
	for _, r := range k.Roots {
		out.Roots = append(out.Roots, rootJSON{
			KID: r.KID.String(), Secret: r.Secret.Bytes(), State: r.State,
			Created: toUnix(r.Created), Replaced: toUnix(r.Replaced),
		})
	}
	for _, s := range k.Signing {
		out.Signing = append(out.Signing, signingJSON{
			KID: s.KID, Alg: s.Alg, PKCS8: s.PKCS8(), State: s.State,
			Created: toUnix(s.Created), NotAfter: toUnix(s.NotAfter),
		})
	}
	return json.Marshal(out)
}

// DecodeKeyring reads what Encode wrote. It ignores members that it does not know and
// refuses a keyring that cannot work.
func DecodeKeyring(b []byte) (Keyring, error) {
	var in keyringJSON
	if err := json.Unmarshal(b, &in); err != nil {
		// The cause could quote the input, which holds keys.
		return Keyring{}, errors.New("seal: keyring is no JSON of its format")
	}
	k := Keyring{Resealed: fromUnix(in.Resealed)}
	var err error
	if k.Index, err = NewKey(in.Index); err != nil {
		return Keyring{}, fmt.Errorf("seal: index key of the keyring: %w", err)
	}
	for _, r := range in.Roots {
		root, err := r.decode()
		if err != nil {
			return Keyring{}, err
		}
		k.Roots = append(k.Roots, root)
	}
	for _, s := range in.Signing {
		key := NewSigningKey(s.KID, s.Alg, s.PKCS8, fromUnix(s.Created))
		key.State, key.NotAfter = s.State, fromUnix(s.NotAfter)
		k.Signing = append(k.Signing, key)
	}
	return k, k.check()
}

func (r rootJSON) decode() (Root, error) {
	secret, err := NewKey(r.Secret)
	if err != nil {
		return Root{}, fmt.Errorf("seal: root of the keyring: %w", err)
	}
	kid, err := hex.DecodeString(r.KID)
	if err != nil || len(kid) != len(KID{}) {
		return Root{}, errors.New("seal: kid of a root is not 6 hex digits")
	}
	root := Root{
		KID: KID(kid), Secret: secret, State: r.State,
		Created: fromUnix(r.Created), Replaced: fromUnix(r.Replaced),
	}
	return root.prepared(), nil
}

// check refuses a keyring without an index key, with other than one active root, or
// with two roots of one kid.
func (k Keyring) check() error {
	if k.Index.IsZero() {
		return errors.New("seal: keyring has no index key")
	}
	active, seen := 0, make(map[KID]bool, len(k.Roots))
	for _, r := range k.Roots {
		if r.Secret.IsZero() || seen[r.KID] {
			return fmt.Errorf("seal: root %s of the keyring is empty or there twice", r.KID)
		}
		seen[r.KID] = true
		if r.State == RootActive {
			active++
		}
	}
	if active != 1 {
		return fmt.Errorf("seal: keyring has %d active roots", active)
	}
	return nil
}

func toUnix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromUnix(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}
