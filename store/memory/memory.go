// SPDX-License-Identifier: Apache-2.0

// Package memory is a store that lives as long as the process. It is bounded: a full
// store refuses new records and never gives up a live one, because giving up a live
// grant would log somebody out.
package memory

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// DefaultMaxRecords is how many records a store holds when Options does not say.
const DefaultMaxRecords = 200_000

var errClosed = errors.New("memory store is closed")

// Options are the choices of whoever opens a store.
type Options struct {
	// MaxRecords is the largest number of records; zero means DefaultMaxRecords.
	MaxRecords int
}

// Store implements store.Store and store.Durable.
type Store struct {
	now func() time.Time
	max int

	mu      sync.RWMutex
	closed  bool
	records map[store.Key]*entry
	sets    map[set]map[string]*entry
	expiry  expiryHeap
}

// entry is a stored record and its place in the expiry heap.
type entry struct {
	store.Record
	place int
}

// New returns an empty store. It uses env.Now alone.
func New(o Options, env store.Env) *Store {
	if o.MaxRecords <= 0 {
		o.MaxRecords = DefaultMaxRecords
	}
	return &Store{
		now:     env.Now,
		max:     o.MaxRecords,
		records: make(map[store.Key]*entry),
		sets:    make(map[set]map[string]*entry),
	}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, k store.Key) (store.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return store.Record{}, err
	}
	e := s.live(k)
	if e == nil {
		return store.Record{}, store.ErrNotFound
	}
	return e.copy(), nil
}

// Create implements store.Store. In a full store it drops an expired record to make
// room; where none is expired the error is unknown.
func (s *Store) Create(ctx context.Context, r store.Record) error {
	if len(r.Value) > store.MaxValue {
		return store.ErrTooLarge
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if old := s.records[r.Key]; old != nil {
		switch {
		case old.Version == r.Version:
			return nil
		case old.alive(s.now()):
			return store.ErrExists
		}
		s.remove(old)
	}
	if err := s.makeRoom(); err != nil {
		return err
	}
	s.insert(r)
	return nil
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, r store.Record, prev store.Version) error {
	if len(r.Value) > store.MaxValue {
		return store.ErrTooLarge
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	e := s.live(r.Key)
	switch {
	case e == nil:
		return store.ErrNotFound
	case e.Version == r.Version:
		return nil
	case e.Version != prev:
		return store.ErrConflict
	}
	e.Version, e.Value = r.Version, slices.Clone(r.Value)
	e.Expires = wholeSeconds(r.Expires)
	heap.Fix(&s.expiry, e.place)
	return nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	e := s.live(k)
	switch {
	case e == nil:
		return nil
	case prev != store.Version{} && prev != e.Version:
		return store.ErrConflict
	}
	s.remove(e)
	return nil
}

// Sweep implements store.Store.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	removed := 0
	for removed < limit && len(s.expiry) > 0 && !s.expiry[0].Expires.After(before) {
		s.remove(s.expiry[0])
		removed++
	}
	return removed, nil
}

// Close implements store.Store. The records are gone, and later calls fail with an
// unknown error: "not found" would be a lie that logs people out.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.records, s.sets, s.expiry = nil, nil, nil
	return nil
}

// Loss implements store.Durable.
func (*Store) Loss() string { return "Everything is lost when the process ends." }

func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return errClosed
	}
	return ctx.Err()
}

// live returns the live record with the key, or nil.
func (s *Store) live(k store.Key) *entry {
	if e := s.records[k]; e != nil && e.alive(s.now()) {
		return e
	}
	return nil
}

// makeRoom makes sure that one more record fits.
func (s *Store) makeRoom() error {
	if len(s.records) < s.max {
		return nil
	}
	if oldest := s.expiry[0]; !oldest.alive(s.now()) {
		s.remove(oldest)
		return nil
	}
	return fmt.Errorf("memory store is full: %d live records (max_records): %w", s.max, store.ErrRefused)
}

func (e *entry) alive(now time.Time) bool { return now.Before(e.Expires) }

// copy returns the record with a value of its own, which the caller may change.
func (e *entry) copy() store.Record {
	r := e.Record
	r.Value = slices.Clone(r.Value)
	return r
}

func wholeSeconds(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

// Interface guards.
var (
	_ store.Store   = (*Store)(nil)
	_ store.Durable = (*Store)(nil)
)
