// SPDX-License-Identifier: Apache-2.0

// Package cosmos is a store in Azure Cosmos DB for NoSQL, for any number of nodes. Every
// record is one item in a partition of its own, and a write is conditional on its ETag.
package cosmos

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var (
	errClosed    = errors.New("cosmos store is closed")
	errContended = errors.New("others kept changing the record")
)

// attempts is how often a write looks again at a record that somebody else has changed
// between its look and its write. Each time somebody else's write was done.
const attempts = 8

// Store implements store.Store.
type Store struct {
	options   azcore.ClientOptions
	config    Config
	env       store.Env
	account   *account
	client    *azcosmos.Client
	container *azcosmos.ContainerClient
	// sweeping has room for one sweep: the sites of a server share a store, and their sweeps
	// would get into each other's way.
	sweeping chan struct{}
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

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, r store.Record) error {
	if len(r.Value) > store.MaxValue {
		return store.ErrTooLarge
	}
	if err := s.usable(r.Key); err != nil {
		return err
	}
	for range attempts {
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
	_, err = s.container.CreateItem(ctx, partition(r.Key), marshal(r, s.env.Now()), nil)
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
		done, err := s.replace(ctx, r, old.etag)
		if done || err != nil {
			return err
		}
	}
	return errContended
}

// Delete implements store.Store.
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
		done, err := s.remove(ctx, k, old.etag)
		if done || err != nil {
			return err
		}
	}
	return errContended
}

// read returns a record as it is in the container, dead or alive, or store.ErrNotFound.
func (s *Store) read(ctx context.Context, k store.Key) (found, error) {
	if err := s.usable(k); err != nil {
		return found{}, err
	}
	response, err := s.container.ReadItem(ctx, partition(k), itemID(k), nil)
	if err != nil {
		return found{}, s.absentOr(err)
	}
	f, err := unmarshal(response.Value)
	if err == nil && (f.Key != k || f.etag == "") {
		err = errDamaged
	}
	return f, err
}

// replace writes a record over the one that was seen; not done where that has changed.
func (s *Store) replace(ctx context.Context, r store.Record, seen azcore.ETag) (done bool, err error) {
	_, err = s.container.ReplaceItem(ctx, partition(r.Key), itemID(r.Key), marshal(r, s.env.Now()), &azcosmos.ItemOptions{IfMatchEtag: &seen})
	return s.conditional(err)
}

// remove deletes the record that was seen; not done where that has changed or is gone.
func (s *Store) remove(ctx context.Context, k store.Key, seen azcore.ETag) (done bool, err error) {
	_, err = s.container.DeleteItem(ctx, partition(k), itemID(k), &azcosmos.ItemOptions{IfMatchEtag: &seen})
	return s.conditional(err)
}

// partition is that of the record alone.
func partition(k store.Key) azcosmos.PartitionKey { return azcosmos.NewPartitionKeyString(itemID(k)) }

// usable tells whether the store can be asked about a key.
func (s *Store) usable(k store.Key) error {
	if s.closed.Load() {
		return errClosed
	}
	return azure.CheckStoreKey(k)
}

func (s *Store) alive(r store.Record) bool { return s.env.Now().Before(r.Expires) }

// Close implements store.Store.
func (s *Store) Close() error {
	if !s.closed.Swap(true) {
		s.client.Close()
		azure.Release(s.options)
	}
	return nil
}

// Interface guards.
var (
	_ store.Store   = (*Store)(nil)
	_ store.Pinger  = (*Store)(nil)
	_ store.Durable = (*Store)(nil)
)
