// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const (
	// garbageDelay is how much longer than its value a record lives in the store, so
	// that the clock of a store decides nothing.
	garbageDelay = 2 * time.Minute
	// personKind is the kind whose natural id is a person: its key is the keyed index
	// hash, so that a dump confirms nobody.
	personKind store.Kind = "person"
)

// Kind is a type of record. Its JSON is a stored format: members are added, never
// renamed and never given another meaning without a higher Schema.
type Kind[T any] struct {
	Name store.Kind
	// Schema is the version that this software writes. Records of lower schemas are read
	// as they are; one of a higher schema is ErrNewer.
	Schema byte
}

// Record is a record that was read or created.
type Record[T any] struct {
	// Value may be changed and passed to Update.
	Value T
	// ID is the natural id; "" in a listing, since the store knows only its hash.
	ID string
	// Expires is when the record ends: whole seconds UTC. Update stores a change of it.
	Expires time.Time

	raw       store.Record // as it is in the store
	plaintext []byte       // what is sealed in it
}

// Options are the properties of a record beside its value.
type Options struct {
	// Expires is required and lies in the future; it is cut to whole seconds.
	Expires time.Time
	// Person and Client are natural ids to find the record by, or "". The store learns
	// keyed hashes of them. They cannot be changed later.
	Person, Client string
}

// opened is a record as the keyring opens it, before its type matters.
type opened struct {
	raw       store.Record
	schema    byte
	plaintext []byte
	expires   time.Time
}

func (o *opened) alive(now time.Time) bool { return now.Before(o.expires) }

func (v *Vault) key(keys *seal.Keyring, kind store.Kind, id string) store.Key {
	hash := seal.KeyID(string(kind), id)
	if kind == personKind {
		hash = keys.PersonIndex(id)
	}
	return store.Key{Site: v.site.String(), Kind: kind, ID: hex.EncodeToString(hash[:])}
}

// binding says where a record belongs. It takes the key that was asked for, not the one
// that came back, so a wrong reply does not open.
func (v *Vault) binding(k store.Key, rec store.Record) (seal.Binding, error) {
	id, err := hex.DecodeString(k.ID)
	if err != nil || len(id) != 32 {
		return seal.Binding{}, fmt.Errorf("vault: %q is no record id", k.ID)
	}
	return seal.Binding{
		Site: v.site, Kind: string(k.Kind), ID: [32]byte(id), Version: rec.Version,
		Person: rec.Person, Client: rec.Client,
	}, nil
}

// errRootGone says that a record was sealed under a root that the keyring, freshly read,
// does not have: nobody can open it any more, so it is as good as absent.
var errRootGone = fmt.Errorf("sealed under a root that is gone: %w", store.ErrNotFound)

// open opens what the store has under k, dead or alive.
func (v *Vault) open(ctx context.Context, k store.Key, rec store.Record) (*opened, error) {
	class, kid, err := seal.Header(rec.Value)
	if err != nil || class != seal.ClassRoot {
		return nil, v.tampered(ctx, k.Kind, errors.New("not sealed by a root"))
	}
	root, ok, err := v.Root(ctx, kid)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("vault: %s, root %s: %w", k.Kind, kid, errRootGone)
	}
	binding, err := v.binding(k, rec)
	if err != nil {
		return nil, err
	}
	schema, plaintext, err := seal.Open(root.RecordKey(v.site, string(k.Kind), binding.ID), rec.Value, binding)
	if err != nil {
		return nil, v.tampered(ctx, k.Kind, err)
	}
	expires, err := expiry(plaintext)
	if err != nil {
		return nil, fmt.Errorf("vault: %s: %w", k.Kind, err)
	}
	rec.Key = k
	return &opened{raw: rec, schema: schema, plaintext: plaintext, expires: expires}, nil
}

// seal returns the record with a new version and the plaintext sealed in it.
func (v *Vault) seal(keys *seal.Keyring, rec store.Record, schema byte, plaintext []byte, expires time.Time) (store.Record, error) {
	root, ok := keys.ActiveRoot()
	if !ok {
		return rec, errors.New("vault: keyring has no active root")
	}
	var err error
	if rec.Version, err = v.newVersion(); err != nil {
		return rec, err
	}
	binding, err := v.binding(rec.Key, rec)
	if err != nil {
		return rec, err
	}
	rec.Expires = expires.Add(garbageDelay)
	rec.Value, err = seal.Seal(v.rand, root.RecordKey(v.site, string(rec.Kind), binding.ID),
		seal.ClassRoot, root.KID, binding, schema, plaintext)
	return rec, err
}

// typed turns an opened record into one of the caller's type.
func typed[T any](k Kind[T], o *opened, id string) (*Record[T], error) {
	if o.schema > k.Schema {
		return nil, fmt.Errorf("%w: %s, schema %d", ErrNewer, k.Name, o.schema)
	}
	value, err := decode[T](o.plaintext)
	if err != nil {
		return nil, fmt.Errorf("%w: reading a %s", err, k.Name)
	}
	return &Record[T]{Value: value, ID: id, Expires: o.expires, raw: o.raw, plaintext: o.plaintext}, nil
}
