// SPDX-License-Identifier: Apache-2.0

package memory

import "container/heap"

// expiry is a heap.Interface with the entry that expires first on top. It makes Sweep and
// makeRoom cost what they remove, not what is stored.
type expiry struct {
	entries *entries
	ends    []end
}

// end is an entry with its time, so that comparing two does not look at the entries.
type end struct {
	at int64
	of ref
}

func (h *expiry) Len() int { return len(h.ends) }

func (h *expiry) Less(i, j int) bool { return h.ends[i].at < h.ends[j].at }

func (h *expiry) Swap(i, j int) {
	h.ends[i], h.ends[j] = h.ends[j], h.ends[i]
	h.entries.at(h.ends[i].of).turn = uint32(i)
	h.entries.at(h.ends[j].of).turn = uint32(j)
}

// Push implements heap.Interface.
func (h *expiry) Push(x any) {
	e := x.(end)
	h.entries.at(e.of).turn = uint32(len(h.ends))
	h.ends = append(h.ends, e)
}

// Pop implements heap.Interface.
func (h *expiry) Pop() any {
	last := len(h.ends) - 1
	e := h.ends[last]
	h.ends = h.ends[:last]
	return e
}

func (h *expiry) first() ref { return h.ends[0].of }

func (h *expiry) insert(r ref) { heap.Push(h, end{h.entries.at(r).expires, r}) }

// moved puts an entry in its place whose time has changed.
func (h *expiry) moved(r ref) {
	e := h.entries.at(r)
	if at := &h.ends[e.turn].at; *at != e.expires {
		*at = e.expires
		heap.Fix(h, int(e.turn))
	}
}

func (h *expiry) remove(r ref) { heap.Remove(h, int(h.entries.at(r).turn)) }
