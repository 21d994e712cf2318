// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"bytes"
	"cmp"
	"slices"
	"sort"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// position is where an entry is in an index: by place, then by what the index is about,
// then by id.
type position struct {
	place uint32
	about store.Index
	id    [32]byte
}

func (p *position) compare(q *position) int {
	return cmp.Or(
		cmp.Compare(p.place, q.place),
		bytes.Compare(p.about[:], q.about[:]),
		bytes.Compare(p.id[:], q.id[:]),
	)
}

// leafSize is how many entries a leaf of an index has before it is split.
const leafSize = 512

// index keeps entries in order. It is a tree of two levels, which is enough for millions:
// leaves in order, each with entries in order.
type index struct {
	at     func(ref) position
	leaves [][]ref
}

// find returns the first place at or after p: a leaf, and a place in it.
func (x *index) find(p *position) (leaf, i int) {
	leaf = sort.Search(len(x.leaves), func(l int) bool {
		last := x.at(x.leaves[l][len(x.leaves[l])-1])
		return last.compare(p) >= 0
	})
	if leaf == len(x.leaves) {
		return leaf, 0
	}
	refs := x.leaves[leaf]
	return leaf, sort.Search(len(refs), func(i int) bool {
		at := x.at(refs[i])
		return at.compare(p) >= 0
	})
}

func (x *index) insert(r ref) {
	p := x.at(r)
	leaf, i := x.find(&p)
	switch {
	case len(x.leaves) == 0:
		x.leaves = append(x.leaves, nil)
	case leaf == len(x.leaves): // beyond the last entry
		leaf--
		i = len(x.leaves[leaf])
	}
	x.leaves[leaf] = slices.Insert(x.leaves[leaf], i, r)
	if refs := x.leaves[leaf]; len(refs) > leafSize {
		half := slices.Clone(refs[leafSize/2:])
		x.leaves[leaf] = slices.Clip(refs[:leafSize/2])
		x.leaves = slices.Insert(x.leaves, leaf+1, half)
	}
}

func (x *index) remove(r ref) {
	p := x.at(r)
	leaf, i := x.find(&p)
	x.leaves[leaf] = slices.Delete(x.leaves[leaf], i, i+1)
	if len(x.leaves[leaf]) == 0 {
		x.leaves = slices.Delete(x.leaves, leaf, leaf+1)
	}
}

// from yields entries from p on, in order.
func (x *index) from(p position) func(yield func(ref) bool) {
	return func(yield func(ref) bool) {
		leaf, i := x.find(&p)
		for ; leaf < len(x.leaves); leaf, i = leaf+1, 0 {
			for _, r := range x.leaves[leaf][i:] {
				if !yield(r) {
					return
				}
			}
		}
	}
}
