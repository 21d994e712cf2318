// SPDX-License-Identifier: Apache-2.0

// Package azuretable is a store in Azure Table Storage or in Cosmos DB for Table, for any
// number of nodes. Every record is one entity, and a write is conditional on its ETag.
package azuretable

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var (
	errClosed    = errors.New("azure table store is closed")
	errContended = errors.New("others kept changing the record")
)

// attempts is how often a write looks again at a record that somebody else has changed
// between its look and its write. Each time somebody else's write was done.
const attempts = 8

// Store implements store.Store.
type Store struct {
	options azcore.ClientOptions
	config  Config
	env     store.Env
	table   *aztables.Client
	// owner is this handle's name in the lease.
	owner string
	// sweeping holds the state of the lease while no sweep runs.
	sweeping chan lease
	closed   atomic.Bool
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, k store.Key) (store.Record, error) {
	seen, err := s.read(ctx, k)
	if err != nil {
		return store.Record{}, err
	}
	if !s.alive(seen.Record) {
		return store.Record{}, store.ErrNotFound
	}
	return seen.Record, nil
}

// Create implements store.Store. What must lead to the record is written before it.
func (s *Store) Create(ctx context.Context, r store.Record) error {
	if len(r.Value) > store.MaxValue {
		return store.ErrTooLarge
	}
	if err := s.usable(r.Key); err != nil {
		return err
	}
	for range attempts {
		if err := s.announce(ctx, r); err != nil {
			return err
		}
		done, err := s.put(ctx, r)
		if done || err != nil {
			return err
		}
	}
	return errContended
}

// put makes one attempt to write a new record, over a dead one if there is one. It is
// not done where somebody else changed the record meanwhile.
func (s *Store) put(ctx context.Context, r store.Record) (done bool, err error) {
	_, err = s.table.AddEntity(ctx, recordEntity(r).marshal(), nil)
	switch {
	case err == nil:
		return true, nil
	case !taken(err):
		return false, s.failure(err)
	}
	old, err := s.read(ctx, r.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case old.Version == r.Version:
		return true, nil
	case s.alive(old.Record):
		return false, store.ErrExists
	}
	return s.replace(ctx, r, old.etag)
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, r store.Record, prev store.Version) error {
	if len(r.Value) > store.MaxValue {
		return store.ErrTooLarge
	}
	for range attempts {
		old, err := s.read(ctx, r.Key)
		switch {
		case err != nil:
			return err
		case !s.alive(old.Record):
			return store.ErrNotFound
		case old.Version == r.Version:
			return nil
		case old.Version != prev:
			return store.ErrConflict
		}
		r.Person, r.Client = old.Person, old.Client
		if r.Expires.Before(old.Expires) {
			if err := s.note(ctx, r.Key, r.Expires, r.Person, r.Client); err != nil {
				return err
			}
		}
		done, err := s.replace(ctx, r, old.etag)
		if done || err != nil {
			return err
		}
	}
	return errContended
}

// Delete implements store.Store. The index entries stay until somebody comes by: they may
// already be those of the next record with this key.
func (s *Store) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	for range attempts {
		old, err := s.read(ctx, k)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err != nil:
			return err
		case s.alive(old.Record) && prev != (store.Version{}) && prev != old.Version:
			return store.ErrConflict
		}
		done, err := s.remove(ctx, old.partition(), k.ID, old.etag)
		if done || err != nil {
			return err
		}
	}
	return errContended
}

// partition is where the record lies.
func (f found) partition() string { return recordPartition(f.Site, f.Kind, f.ID) }

// read returns a record as it is in the table, dead or alive, or store.ErrNotFound.
func (s *Store) read(ctx context.Context, k store.Key) (found, error) {
	if err := s.usable(k); err != nil {
		return found{}, err
	}
	e, etag, err := s.get(ctx, recordPartition(k.Site, k.Kind, k.ID), k.ID)
	if err != nil {
		return found{}, err
	}
	r, err := e.record(k.Site, k.Kind)
	if err == nil && r.Key != k {
		err = errDamaged
	}
	return found{Record: r, etag: etag}, err
}

// get returns an entity, or store.ErrNotFound.
func (s *Store) get(ctx context.Context, partition, row string) (entity, azcore.ETag, error) {
	response, err := s.table.GetEntity(ctx, partition, row, nil)
	if err != nil {
		return entity{}, "", s.absentOr(ctx, err)
	}
	e, err := unmarshal(response.Value)
	return e, response.ETag, err
}

// replace writes a record over the one that was seen; not done where that has changed.
func (s *Store) replace(ctx context.Context, r store.Record, seen azcore.ETag) (done bool, err error) {
	return s.replaceEntity(ctx, recordEntity(r), seen)
}

func (s *Store) replaceEntity(ctx context.Context, e entity, seen azcore.ETag) (done bool, err error) {
	_, err = s.table.UpdateEntity(ctx, e.marshal(), &aztables.UpdateEntityOptions{IfMatch: &seen, UpdateMode: aztables.UpdateModeReplace})
	return s.conditional(ctx, err)
}

// remove deletes the entity that was seen; not done where that has changed or is gone.
func (s *Store) remove(ctx context.Context, partition, row string, seen azcore.ETag) (done bool, err error) {
	_, err = s.table.DeleteEntity(ctx, partition, row, &aztables.DeleteEntityOptions{IfMatch: &seen})
	return s.conditional(ctx, err)
}

// upsert writes an entity whatever is there.
func (s *Store) upsert(ctx context.Context, e entity) error {
	_, err := s.table.UpsertEntity(ctx, e.marshal(), &aztables.UpsertEntityOptions{UpdateMode: aztables.UpdateModeReplace})
	return s.failure(err)
}

// usable tells whether the store can be asked about a key.
func (s *Store) usable(k store.Key) error {
	if s.closed.Load() {
		return errClosed
	}
	return azure.CheckStoreKey(k)
}

func (s *Store) alive(r store.Record) bool { return s.env.Now().Before(r.Expires) }

// Close implements store.Store. It gives the lease of the sweep back, so that another
// node need not wait for its end.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	defer azure.Release(s.options)
	select {
	case l := <-s.sweeping:
		defer func() { s.sweeping <- lease{} }()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.giveBack(ctx, l)
	default: // A sweep runs. Its lease ends by itself.
	}
	return nil
}

// Interface guards.
var (
	_ store.Store   = (*Store)(nil)
	_ store.Pinger  = (*Store)(nil)
	_ store.Durable = (*Store)(nil)
)
