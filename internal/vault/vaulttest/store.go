// SPDX-License-Identifier: Apache-2.0

// Package vaulttest has what tests of a vault and of the kinds in it need: a store that
// can be made to fail and be tampered with, a vault over it, and golden fixtures of
// sealed records.
package vaulttest

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// Store is a table that can be made to fail.
type Store struct {
	*faulty.Store
	table *table
}

// NewStore returns an empty store with the given clock.
func NewStore(now func() time.Time) *Store {
	t := &table{now: now, records: map[store.Key]store.Record{}}
	return &Store{Store: faulty.New(t), table: t}
}

// Fail makes every call return err until it is called with nil.
func (s *Store) Fail(err error) {
	if err == nil {
		s.Set(faulty.None)
		return
	}
	s.SetError(err)
	s.Set(faulty.Before)
}

// Gets tells how many times a record of a kind was asked for.
func (s *Store) Gets(k store.Kind) int { return s.Count(faulty.Get, k) }

// Records returns copies of all records of a kind, or of all kinds for "".
func (s *Store) Records(k store.Kind) []store.Record {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	var out []store.Record
	for _, r := range s.table.records {
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
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	s.table.records[r.Key] = r
}
