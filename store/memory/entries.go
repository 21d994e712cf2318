// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// key is a store.Key without pointers.
type key struct {
	place uint32
	id    [32]byte
}

// place is a site and a kind, of which there are few.
type place struct {
	site string
	kind store.Kind
}

// ref names an entry.
type ref uint32

// entry is a stored record. Nothing in it is a pointer: a million entries cost the
// garbage collector as good as nothing.
type entry struct {
	key
	version        store.Version
	person, client store.Index
	expires        int64 // Unix seconds
	value          span
	turn           uint32 // its place in the expiry heap
}

// block is how many entries are allocated at once; they never move.
const block = 1024

// entries are all entries, used and unused.
type entries struct {
	blocks [][]entry
	free   []ref
	used   int
}

func (e *entries) at(r ref) *entry { return &e.blocks[r/block][r%block] }

func (e *entries) take() ref {
	if last := len(e.free) - 1; last >= 0 {
		r := e.free[last]
		e.free = e.free[:last]
		return r
	}
	if e.used%block == 0 {
		e.blocks = append(e.blocks, make([]entry, block))
	}
	e.used++
	return ref(e.used - 1)
}

func (e *entries) drop(r ref) {
	*e.at(r) = entry{}
	e.free = append(e.free, r)
}

// key returns the short form of a key. A place that nobody wrote to has the number zero
// unless it is to be made.
func (s *Store) key(k store.Key, make bool) (key, error) {
	var short key
	if n, err := hex.Decode(short.id[:], []byte(k.ID)); err != nil || n != len(short.id) || hex.EncodeToString(short.id[:]) != k.ID {
		return short, fmt.Errorf("malformed key %q", k)
	}
	short.place = s.place(place{k.Site, k.Kind}, make)
	return short, nil
}

func (s *Store) place(p place, make bool) uint32 {
	n, ok := s.numbers[p]
	if !ok && make {
		s.places = append(s.places, p)
		n = uint32(len(s.places))
		s.numbers[p] = n
	}
	return n
}

// record returns what an entry stands for. The value belongs to the caller.
func (s *Store) record(e *entry) store.Record {
	p := s.places[e.place-1]
	return store.Record{
		Key:     store.Key{Site: p.site, Kind: p.kind, ID: hex.EncodeToString(e.id[:])},
		Version: e.version, Person: e.person, Client: e.client,
		Expires: time.Unix(e.expires, 0).UTC(), Value: s.values.get(e.value),
	}
}

func (e *entry) alive(now time.Time) bool { return now.Before(time.Unix(e.expires, 0)) }
