// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// createTries bounds how often Create clears away a dead record. A second one can only
// have died in the meantime.
const createTries = 3

// Create stores a new record under a natural id. A live record there is
// store.ErrExists; one that is dead inside and not yet garbage is replaced.
func Create[T any](ctx context.Context, v *Vault, k Kind[T], id string, value T, o Options) (*Record[T], error) {
	keys, err := v.Keyring(ctx)
	if err != nil {
		return nil, err
	}
	expires := o.Expires.UTC().Truncate(time.Second)
	if !v.now().Before(expires) {
		return nil, fmt.Errorf("vault: a new %s is already expired", k.Name)
	}
	members, err := encode(value)
	if err != nil {
		return nil, err
	}
	plaintext, err := join(members, expires)
	if err != nil {
		return nil, err
	}
	rec := store.Record{Key: v.key(keys, k.Name, id)}
	if o.Person != "" {
		rec.Person = keys.PersonIndex(o.Person)
	}
	if o.Client != "" {
		rec.Client = keys.ClientIndex(o.Client)
	}
	if rec, err = v.seal(keys, rec, k.Schema, plaintext, expires); err != nil {
		return nil, err
	}
	if err := v.createOver(ctx, rec); err != nil {
		return nil, fmt.Errorf("vault: creating a %s: %w", k.Name, err)
	}
	return &Record[T]{Value: value, ID: id, Expires: expires, raw: rec, plaintext: plaintext}, nil
}

// createOver sends the same sealed bytes until they are stored or meet a live record.
func (v *Vault) createOver(ctx context.Context, rec store.Record) error {
	for range createTries {
		err := v.store.Create(ctx, rec)
		if !errors.Is(err, store.ErrExists) {
			return err
		}
		cleared, err := v.clearDead(ctx, rec.Key)
		if err != nil {
			return err
		}
		if !cleared {
			break
		}
	}
	return store.ErrExists
}

// clearDead removes the record under k if it is past its life or nobody can open it any
// more, and tells whether the place is free.
func (v *Vault) clearDead(ctx context.Context, k store.Key) (bool, error) {
	rec, err := v.store.Get(ctx, k)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	o, err := v.open(ctx, k, rec)
	switch {
	case errors.Is(err, errRootGone):
	case err != nil:
		return false, err
	case o.alive(v.now()):
		return false, nil
	}
	err = v.store.Delete(ctx, k, rec.Version)
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Get reads the record with a natural id. store.ErrNotFound says that there is none,
// that it is past its life, or that the root which sealed it is gone.
func Get[T any](ctx context.Context, v *Vault, k Kind[T], id string) (*Record[T], error) {
	keys, err := v.Keyring(ctx)
	if err != nil {
		return nil, err
	}
	key := v.key(keys, k.Name, id)
	rec, err := v.store.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("vault: reading a %s: %w", k.Name, err)
	}
	o, err := v.open(ctx, key, rec)
	if err != nil {
		return nil, err
	}
	if !o.alive(v.now()) {
		return nil, fmt.Errorf("vault: a %s has expired: %w", k.Name, store.ErrNotFound)
	}
	return typed(k, o, id)
}

// Update stores a changed value, provided that nobody changed the record since it was
// read: else store.ErrConflict, or store.ErrNotFound where it is gone. On success r is
// what the store has now. After an error r is as it was, and the write may have happened
// unless the error is definite.
func Update[T any](ctx context.Context, v *Vault, k Kind[T], r *Record[T]) error {
	keys, err := v.Keyring(ctx)
	if err != nil {
		return err
	}
	expires := r.Expires.UTC().Truncate(time.Second)
	if expires.Unix() <= 0 {
		return fmt.Errorf("vault: a %s without expiry", k.Name)
	}
	plaintext, err := r.encode(expires)
	if err != nil {
		return err
	}
	rec, err := v.seal(keys, r.raw, k.Schema, plaintext, expires)
	if err != nil {
		return err
	}
	if err := v.store.Update(ctx, rec, r.raw.Version); err != nil {
		return fmt.Errorf("vault: updating a %s: %w", k.Name, err)
	}
	r.raw, r.plaintext, r.Expires = rec, plaintext, expires
	return nil
}

// encode returns the plaintext of the value, with what newer software put there.
func (r *Record[T]) encode(expires time.Time) ([]byte, error) {
	fresh, err := encode(r.Value)
	if err != nil {
		return nil, err
	}
	stored, err := split(r.plaintext)
	if err != nil {
		return nil, fmt.Errorf("vault: updating a record that was not read: %w", err)
	}
	before, err := decode[T](r.plaintext)
	if err != nil {
		return nil, err
	}
	known, err := encode(before)
	if err != nil {
		return nil, err
	}
	carry(stored, known, fresh)
	return join(fresh, expires)
}

// Delete removes a record, provided that nobody changed it since it was read: else
// store.ErrConflict. An absent record is no error.
func Delete[T any](ctx context.Context, v *Vault, k Kind[T], r *Record[T]) error {
	if err := v.store.Delete(ctx, r.raw.Key, r.raw.Version); err != nil {
		return fmt.Errorf("vault: deleting a %s: %w", k.Name, err)
	}
	return nil
}

// DeleteID removes the record with a natural id, whatever its version. An absent record
// is no error.
func DeleteID[T any](ctx context.Context, v *Vault, k Kind[T], id string) error {
	keys, err := v.Keyring(ctx)
	if err != nil {
		return err
	}
	if err := v.store.Delete(ctx, v.key(keys, k.Name, id), store.Version{}); err != nil {
		return fmt.Errorf("vault: deleting a %s: %w", k.Name, err)
	}
	return nil
}
