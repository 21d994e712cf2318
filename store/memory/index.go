// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"container/heap"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// set names what a listing walks: all records of one site and kind, or those among them
// with one person or with one client.
type set struct {
	site           string
	kind           store.Kind
	person, client store.Index
}

// setsOf returns the sets that a record belongs to. The indexes of a record never
// change, so neither does this answer.
func setsOf(r *store.Record) []set {
	all := set{site: r.Site, kind: r.Kind}
	sets := []set{all}
	if r.Person != (store.Index{}) {
		sets = append(sets, set{site: all.site, kind: all.kind, person: r.Person})
	}
	if r.Client != (store.Index{}) {
		sets = append(sets, set{site: all.site, kind: all.kind, client: r.Client})
	}
	return sets
}

func (s *Store) insert(r store.Record) {
	e := &entry{Record: r}
	e.Value = slices.Clone(r.Value)
	e.Expires = wholeSeconds(r.Expires)
	s.records[r.Key] = e
	for _, in := range setsOf(&e.Record) {
		if s.sets[in] == nil {
			s.sets[in] = make(map[string]*entry)
		}
		s.sets[in][e.ID] = e
	}
	heap.Push(&s.expiry, e)
}

func (s *Store) remove(e *entry) {
	delete(s.records, e.Key)
	for _, in := range setsOf(&e.Record) {
		delete(s.sets[in], e.ID)
		if len(s.sets[in]) == 0 {
			delete(s.sets, in)
		}
	}
	heap.Remove(&s.expiry, e.place)
}

// expiryHeap is a heap.Interface with the record that expires first on top. It makes
// Sweep and makeRoom cost what they remove, not what is stored.
type expiryHeap []*entry

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].Expires.Before(h[j].Expires) }
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *expiryHeap) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *expiryHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
