// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const (
	// keyringKind is the kind of the keyring, whose natural id is the same word.
	keyringKind   = "keyring"
	keyringSchema = 1

	// MaxLife is how long a keyring lives after its last write, and how long a root is
	// kept after its replacement: no record may be meant to live longer than this after
	// it was last written.
	MaxLife = 400 * 24 * time.Hour
)

func (v *Vault) keyringKey() store.Key {
	id := seal.KeyID(keyringKind, keyringKind)
	return store.Key{Site: v.site.String(), Kind: keyringKind, ID: hex.EncodeToString(id[:])}
}

func (v *Vault) keyringBinding(version store.Version) seal.Binding {
	return seal.Binding{
		Site: v.site, Kind: keyringKind, ID: seal.KeyID(keyringKind, keyringKind), Version: version,
	}
}

// readRing reads and opens the keyring. store.ErrNotFound says that there is none.
func (v *Vault) readRing(ctx context.Context) (*ring, error) {
	rec, err := v.store.Get(ctx, v.keyringKey())
	if err != nil {
		return nil, fmt.Errorf("vault: reading the keyring: %w", err)
	}
	kid, plaintext, err := v.openRing(ctx, rec)
	if err != nil {
		return nil, err
	}
	return v.parseRing(ctx, rec, kid, plaintext)
}

// openRing opens a keyring with the master key that it is sealed under.
func (v *Vault) openRing(ctx context.Context, rec store.Record) (seal.KID, []byte, error) {
	class, kid, err := seal.Header(rec.Value)
	if err != nil || class != seal.ClassMaster {
		return kid, nil, v.tampered(ctx, keyringKind, errors.New("not sealed by a master key"))
	}
	master, ok := v.master(kid)
	if !ok {
		return kid, nil, fmt.Errorf("%w (id %s) than those that are configured (%s): with the file store put back the .key file that was saved with the store; "+
			"otherwise write the encryption_key lines of the other nodes here, too, or add the former encryption_key as a second line",
			ErrMaster, kid, v.masterNames())
	}
	schema, plaintext, err := seal.Open(master.KeyringKey(v.site), rec.Value, v.keyringBinding(rec.Version))
	if err != nil {
		return kid, nil, v.tampered(ctx, keyringKind, err)
	}
	if schema > keyringSchema {
		return kid, nil, fmt.Errorf("%w: keyring, schema %d", ErrNewer, schema)
	}
	return kid, plaintext, nil
}

func (v *Vault) parseRing(ctx context.Context, rec store.Record, kid seal.KID, plaintext []byte) (*ring, error) {
	expires, err := expiry(plaintext)
	if err != nil {
		return nil, fmt.Errorf("vault: keyring: %w", err)
	}
	if !v.now().Before(expires) {
		if err := v.store.Delete(ctx, rec.Key, rec.Version); err != nil {
			return nil, fmt.Errorf("vault: removing the expired keyring: %w", err)
		}
		return nil, store.ErrNotFound
	}
	full, err := seal.DecodeKeyring(plaintext)
	if err != nil {
		return nil, fmt.Errorf("vault: keyring: %w", err)
	}
	return newRing(full, plaintext, rec.Version, kid), nil
}

// makeRing makes the first keyring and stores it, or fails with store.ErrExists.
func (v *Vault) makeRing(ctx context.Context) (*ring, error) {
	now := v.now()
	root, err := seal.NewRoot(v.rand, now)
	if err != nil {
		return nil, err
	}
	index, err := seal.RandomKey(v.rand)
	if err != nil {
		return nil, err
	}
	signing, err := v.newSigningKey(now)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	// The only key that is used without having been published before: there is nobody
	// yet who could have read the set without it.
	signing.State, signing.NotAfter = seal.SigningActive, now.Add(signingLife)
	full := seal.Keyring{Roots: []seal.Root{root}, Index: index, Signing: []seal.SigningKey{signing}}
	rec, r, err := v.sealRing(full, nil)
	if err != nil {
		return nil, err
	}
	if err := v.store.Create(ctx, rec); err != nil {
		return nil, err
	}
	v.log.Info("made a new keyring", "site", v.site.String(), "master_key", r.master.String())
	return r, nil
}

// sealRing seals a keyring under the first master key with a new version. It keeps the
// members of old, the ring that it replaces, that this software does not know.
func (v *Vault) sealRing(full seal.Keyring, old *ring) (store.Record, *ring, error) {
	expires := v.now().Add(MaxLife).UTC().Truncate(time.Second)
	plaintext, err := encodeRing(full, old, expires)
	if err != nil {
		return store.Record{}, nil, err
	}
	version, err := v.newVersion()
	if err != nil {
		return store.Record{}, nil, err
	}
	master := (*v.masters.Load())[0]
	value, err := seal.Seal(v.rand, master.KeyringKey(v.site), seal.ClassMaster, master.KID(),
		v.keyringBinding(version), keyringSchema, plaintext)
	rec := store.Record{Key: v.keyringKey(), Version: version, Expires: expires.Add(garbageDelay), Value: value}
	return rec, newRing(full, plaintext, version, master.KID()), err
}

func encodeRing(full seal.Keyring, old *ring, expires time.Time) ([]byte, error) {
	fresh, err := ringMembers(full)
	if err != nil {
		return nil, err
	}
	if old != nil {
		stored, err := split(old.plaintext)
		if err != nil {
			return nil, err
		}
		known, err := ringMembers(old.full)
		if err != nil {
			return nil, err
		}
		carry(stored, known, fresh)
	}
	return join(fresh, expires)
}

func ringMembers(k seal.Keyring) (map[string]json.RawMessage, error) {
	b, err := k.Encode()
	if err != nil {
		return nil, err
	}
	return object(b)
}

func (v *Vault) master(kid seal.KID) (seal.Master, bool) {
	for _, m := range *v.masters.Load() {
		if m.KID() == kid {
			return m, true
		}
	}
	return seal.Master{}, false
}

// masterNames are the ids of the configured master keys.
func (v *Vault) masterNames() string {
	var names []string
	for _, m := range *v.masters.Load() {
		names = append(names, m.KID().String())
	}
	return strings.Join(names, ", ")
}

// tampered reports a record that does not open.
func (v *Vault) tampered(ctx context.Context, kind store.Kind, cause error) error {
	v.emit(ctx, event.Event{Kind: event.RecordTampered, Mode: string(kind), Cause: cause})
	return fmt.Errorf("%w: %s: %w", ErrTampered, kind, cause)
}
