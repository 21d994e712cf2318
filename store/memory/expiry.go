// SPDX-License-Identifier: Apache-2.0

package memory

import "container/heap"

// expiry is a heap.Interface with the entry that expires first on top. It makes Sweep and
// makeRoom cost what they remove, not what is stored.
type expiry struct {
	entries *entries
	refs    []ref
}

func (h *expiry) Len() int { return len(h.refs) }

func (h *expiry) Less(i, j int) bool {
	return h.entries.at(h.refs[i]).expires < h.entries.at(h.refs[j]).expires
}

func (h *expiry) Swap(i, j int) {
	h.refs[i], h.refs[j] = h.refs[j], h.refs[i]
	h.entries.at(h.refs[i]).turn = uint32(i)
	h.entries.at(h.refs[j]).turn = uint32(j)
}

// Push implements heap.Interface.
func (h *expiry) Push(x any) {
	r := x.(ref)
	h.entries.at(r).turn = uint32(len(h.refs))
	h.refs = append(h.refs, r)
}

// Pop implements heap.Interface.
func (h *expiry) Pop() any {
	last := len(h.refs) - 1
	r := h.refs[last]
	h.refs = h.refs[:last]
	return r
}

func (h *expiry) first() ref { return h.refs[0] }

func (h *expiry) insert(r ref) { heap.Push(h, r) }

func (h *expiry) moved(r ref) { heap.Fix(h, int(h.entries.at(r).turn)) }

func (h *expiry) remove(r ref) { heap.Remove(h, int(h.entries.at(r).turn)) }
