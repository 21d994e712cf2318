// SPDX-License-Identifier: Apache-2.0

// Package vaulttest has what tests of a vault and of the kinds in it need: a store that
// can be made to fail and be tampered with, a vault over it, and golden fixtures of
// sealed records.
package vaulttest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Store is a map behind a mutex. It keeps the contract of store.Store as simply as
// possible.
type Store struct {
	now func() time.Time

	mu      sync.Mutex
	records map[store.Key]store.Record
	fail    error
	gets    map[store.Kind]int
}

// NewStore returns an empty store with the given clock.
func NewStore(now func() time.Time) *Store {
	return &Store{now: now, records: map[store.Key]store.Record{}, gets: map[store.Kind]int{}}
}

// Fail makes every call return err until it is called with nil.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Gets tells how many times a record of a kind was asked for.
func (s *Store) Gets(k store.Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets[k]
}

// Records returns copies of all records of a kind, or of all kinds for "".
func (s *Store) Records(k store.Kind) []store.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []store.Record
	for _, r := range s.records {
		if k == "" || r.Kind == k {
			r.Value = slices.Clone(r.Value)
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b store.Record) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Put stores a record whatever is there, as somebody with access to the data could.
func (s *Store) Put(r store.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[r.Key] = r
}

// live returns the live record under k. The mutex is held.
func (s *Store) live(k store.Key) (store.Record, bool) {
	r, ok := s.records[k]
	return r, ok && s.now().Before(r.Expires)
}

// broken returns why a call fails, if it does. The mutex is held.
func (s *Store) broken(ctx context.Context) error {
	if s.fail != nil {
		return s.fail
	}
	return ctx.Err()
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, k store.Key) (store.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets[k.Kind]++
	if err := s.broken(ctx); err != nil {
		return store.Record{}, err
	}
	r, ok := s.live(k)
	if !ok {
		return store.Record{}, store.ErrNotFound
	}
	r.Value = slices.Clone(r.Value)
	return r, nil
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, r store.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.broken(ctx); err != nil {
		return err
	}
	if old, ok := s.live(r.Key); ok && old.Version != r.Version {
		return store.ErrExists
	}
	s.records[r.Key] = r
	return nil
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, r store.Record, prev store.Version) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.broken(ctx); err != nil {
		return err
	}
	old, ok := s.live(r.Key)
	switch {
	case !ok:
		return store.ErrNotFound
	case old.Version != prev && old.Version != r.Version:
		return store.ErrConflict
	}
	s.records[r.Key] = r
	return nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.broken(ctx); err != nil {
		return err
	}
	old, ok := s.live(k)
	if ok && prev != (store.Version{}) && old.Version != prev {
		return store.ErrConflict
	}
	delete(s.records, k)
	return nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.broken(ctx); err != nil {
		return store.Page{}, err
	}
	limit := q.Limit
	if limit <= 0 || limit > store.MaxLimit {
		limit = store.MaxLimit
	}
	var found []store.Record
	for k, r := range s.records {
		_, ok := s.live(k)
		none := store.Index{}
		if ok && k.Site == q.Site && k.Kind == q.Kind && k.ID > q.After &&
			(q.Person == none || q.Person == r.Person) && (q.Client == none || q.Client == r.Client) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b store.Record) int { return strings.Compare(a.ID, b.ID) })
	if len(found) <= limit {
		return store.Page{Records: found}, nil
	}
	return store.Page{Records: found[:limit], Next: found[limit-1].ID}, nil
}

// Sweep implements store.Store.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.broken(ctx); err != nil {
		return 0, err
	}
	n := 0
	for k, r := range s.records {
		if n < limit && !r.Expires.After(before) {
			delete(s.records, k)
			n++
		}
	}
	return n, nil
}

// Close implements store.Store.
func (s *Store) Close() error { return nil }
