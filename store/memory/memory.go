// SPDX-License-Identifier: Apache-2.0

// Package memory is a store that lives as long as the process. It is bounded: a full
// store refuses new records and never gives up a live one, because giving up a live
// grant would log somebody out.
package memory

import (
	"context"
	"errors"
	"fmt"
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

	mu     sync.RWMutex
	closed bool

	numbers map[place]uint32
	places  []place // the place with the number n is the element n-1

	entries *entries
	values  arena
	records map[key]ref
	// The orders in which entries are listed: by id, and those with a person or a client
	// by these.
	byID, byPerson, byClient index
	expiry                   expiry
}

// New returns an empty store. It uses env.Now alone.
func New(o Options, env store.Env) *Store {
	if o.MaxRecords <= 0 {
		o.MaxRecords = DefaultMaxRecords
	}
	s := &Store{now: env.Now, max: o.MaxRecords}
	s.empty()
	return s
}

// empty forgets everything.
func (s *Store) empty() {
	s.numbers, s.places = map[place]uint32{}, nil
	s.entries, s.values, s.records = new(entries), arena{}, map[key]ref{}
	all := s.entries
	s.byID = index{at: func(r ref) position {
		e := all.at(r)
		return position{e.place, store.Index{}, e.id}
	}}
	s.byPerson = index{at: func(r ref) position {
		e := all.at(r)
		return position{e.place, e.person, e.id}
	}}
	s.byClient = index{at: func(r ref) position {
		e := all.at(r)
		return position{e.place, e.client, e.id}
	}}
	s.expiry = expiry{entries: all}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, k store.Key) (store.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return store.Record{}, err
	}
	short, err := s.key(k, false)
	if err != nil {
		return store.Record{}, err
	}
	r, found := s.live(short)
	if !found {
		return store.Record{}, store.ErrNotFound
	}
	return s.record(s.entries.at(r)), nil
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
	short, err := s.key(r.Key, true)
	if err != nil {
		return err
	}
	if old, found := s.records[short]; found {
		switch e := s.entries.at(old); {
		case e.version == r.Version:
			return nil
		case e.alive(s.now()):
			return store.ErrExists
		}
		s.remove(old)
	}
	if err := s.makeRoom(); err != nil {
		return err
	}
	s.insert(short, r)
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
	short, err := s.key(r.Key, false)
	if err != nil {
		return err
	}
	at, found := s.live(short)
	if !found {
		return store.ErrNotFound
	}
	e := s.entries.at(at)
	switch {
	case e.version == r.Version:
		return nil
	case e.version != prev:
		return store.ErrConflict
	}
	s.values.drop(e.value)
	e.version, e.value, e.expires = r.Version, s.values.put(r.Value), r.Expires.Unix()
	s.expiry.moved(at)
	return nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	short, err := s.key(k, false)
	if err != nil {
		return err
	}
	at, found := s.live(short)
	switch {
	case !found:
		return nil
	case prev != store.Version{} && prev != s.entries.at(at).version:
		return store.ErrConflict
	}
	s.remove(at)
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
	for removed < limit && s.expiry.Len() > 0 && !s.entries.at(s.expiry.first()).alive(before) {
		s.remove(s.expiry.first())
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
	s.empty()
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

// live returns the live entry with the key.
func (s *Store) live(k key) (ref, bool) {
	r, found := s.records[k]
	return r, found && s.entries.at(r).alive(s.now())
}

// makeRoom makes sure that one more record fits.
func (s *Store) makeRoom() error {
	if len(s.records) < s.max {
		return nil
	}
	if oldest := s.expiry.first(); !s.entries.at(oldest).alive(s.now()) {
		s.remove(oldest)
		return nil
	}
	return fmt.Errorf("memory store is full: %d live records (max_records): %w", s.max, store.ErrRefused)
}

// insert adds a record that is not there.
func (s *Store) insert(k key, r store.Record) {
	at := s.entries.take()
	*s.entries.at(at) = entry{
		key: k, version: r.Version, person: r.Person, client: r.Client,
		expires: r.Expires.Unix(), value: s.values.put(r.Value),
	}
	s.records[k] = at
	for _, x := range s.indexes(at) {
		x.insert(at)
	}
	s.expiry.insert(at)
}

func (s *Store) remove(at ref) {
	e := s.entries.at(at)
	s.expiry.remove(at)
	for _, x := range s.indexes(at) {
		x.remove(at)
	}
	delete(s.records, e.key)
	s.values.drop(e.value)
	s.entries.drop(at)
}

// indexes are those that an entry is in. Person and client of a record never change, so
// neither does this answer.
func (s *Store) indexes(at ref) []*index {
	in := append(make([]*index, 0, 3), &s.byID)
	if e := s.entries.at(at); e.person != (store.Index{}) {
		in = append(in, &s.byPerson)
	}
	if e := s.entries.at(at); e.client != (store.Index{}) {
		in = append(in, &s.byClient)
	}
	return in
}

// Interface guards.
var (
	_ store.Store   = (*Store)(nil)
	_ store.Durable = (*Store)(nil)
)
