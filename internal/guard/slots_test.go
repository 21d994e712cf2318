// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"
	"time"
)

// placed is an entry whose two buckets are chosen: buckets are the low bits of the first
// and second eight bytes of the token.
func placed(id, one, two byte, until time.Duration) *entry {
	k := key{}
	k.token[0], k.token[8], k.token[31] = one, two, id
	at := start.Add(until).UnixNano()
	return &entry{key: k, record: [32]byte{id}, until: at, renew: at}
}

// present are the ids of the entries that the cache gives.
func present(c *cache, entries ...*entry) (ids []byte) {
	for _, e := range entries {
		if c.get(e.key) == e {
			ids = append(ids, e.key.token[31])
		}
	}
	return ids
}

// chained counts the entries of the index.
func chained(c *cache) (n int) {
	for _, e := range c.chains {
		for ; e != nil; e = e.next {
			n++
		}
	}
	return n
}

func consistent(t *testing.T, c *cache, want int) {
	t.Helper()
	slots := c.table.Load().slots
	full := 0
	for i := range slots {
		if slots[i].Load() != nil {
			full++
		}
	}
	if c.len() != want || full != want || chained(c) != want {
		t.Errorf("%d counted, %d in slots, %d in the index; want %d", c.len(), full, chained(c), want)
	}
}

func TestEntryGoesIntoTheEmptierBucket(t *testing.T) {
	t.Parallel()
	c := newCache(100)
	tb := c.table.Load()
	a, b, d := placed(1, 5, 6, time.Hour), placed(2, 5, 6, time.Hour), placed(3, 5, 6, time.Hour)
	for _, e := range []*entry{a, b, d} {
		c.put(e, 0)
	}
	one, two := tb.bucket(&a.key.token, false), tb.bucket(&a.key.token, true)
	if one.find(&a.key) == nil || two.find(&b.key) == nil || one.find(&d.key) == nil {
		t.Error("the first goes into the first bucket, the second into the emptier one, the third into the first")
	}
	if n, empty, first := one.spare(); n != ways-2 || empty == nil || first == nil {
		t.Errorf("%d of the first are empty", n)
	}
	if n, _, first := tb.bucket(&placed(0, 9, 9, 0).key.token, false).spare(); n != ways || first != nil {
		t.Errorf("%d of an empty one are empty", n)
	}
	consistent(t, c, 3)
}

// Full buckets give up the entry that would end first, whichever of the two has it.
func TestFullBuckets(t *testing.T) {
	t.Parallel()
	for _, early := range []int{0, 1, 7, 14, 15} {
		c := newCache(100)
		var all []*entry
		for i := range 2 * ways {
			until := time.Hour + time.Duration(i)*time.Second
			if i == early {
				until = time.Minute
			}
			all = append(all, placed(byte(i+1), 5, 6, until))
			c.put(all[i], 0)
		}
		more := placed(100, 5, 6, time.Hour)
		c.put(more, 0)
		if c.get(all[early].key) != nil || c.get(more.key) != more || len(present(c, all...)) != 2*ways-1 {
			t.Errorf("%d should have gone; there are %v", early+1, present(c, append(all, more)...))
		}
		consistent(t, c, 2*ways)
	}
	// Where both would end together the first bucket gives way.
	c := newCache(100)
	var all []*entry
	for i := range 2 * ways {
		all = append(all, placed(byte(i+1), 5, 6, time.Hour))
		c.put(all[i], 0)
	}
	one := c.table.Load().bucket(&all[0].key.token, false)
	more := placed(100, 5, 6, time.Hour)
	if c.put(more, 0); one.find(&more.key) == nil {
		t.Error("the second bucket gave way")
	}
	_, _, first := one.spare()
	if &one[0] != first {
		t.Error("of entries that end together the first slot is given up")
	}
}

// A full cache makes room elsewhere for an entry whose own buckets are empty.
func TestFullCacheMakesRoomElsewhere(t *testing.T) {
	t.Parallel()
	c := newCache(1)
	a, b := placed(1, 1, 1, time.Hour), placed(2, 50, 51, time.Hour)
	c.put(a, 0)
	c.put(b, 0)
	if c.get(a.key) != nil || c.get(b.key) != b {
		t.Error("the bound is not kept, or the new answer is lost")
	}
	consistent(t, c, 1)
	c = newCache(3)
	near, far, farther := placed(1, 60, 60, time.Hour), placed(2, 10, 10, time.Hour), placed(3, 20, 20, time.Hour)
	for _, e := range []*entry{near, far, farther} {
		c.put(e, 0)
	}
	c.put(placed(4, 50, 51, time.Hour), 0)
	if ids := present(c, near, far, farther); len(ids) != 2 || ids[0] != 2 {
		t.Errorf("%v are left; the next one after the bucket should have gone", ids)
	}
	consistent(t, c, 3)
	// An entry in the buckets of a full cache goes before one elsewhere.
	c.put(placed(5, 10, 11, time.Hour), 0)
	if c.get(far.key) != nil || c.get(farther.key) == nil {
		t.Errorf("%v are left", present(c, near, far, farther))
	}
	consistent(t, c, 3)
}

// The table doubles when it is half full, and no more than the bound asks for.
func TestWhenTheTableGrows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ limit, entries, slots int }{
		{DefaultMaxEntries, 512, 1024},
		{DefaultMaxEntries, 513, 2048},
		{DefaultMaxEntries, 1024, 2048},
		{DefaultMaxEntries, 1025, 4096},
		{512, 2000, 1024},
		{513, 513, 2048},
		{513, 5000, 2048},
		{1024, 5000, 2048},
		{300, 5000, 1024},
	} {
		c := newCache(tt.limit)
		for i := range tt.entries {
			c.put(numbered(i, start.Add(time.Hour)), 0)
		}
		if n := len(c.table.Load().slots); n != tt.slots {
			t.Errorf("%d entries of %d: %d slots, want %d", tt.entries, tt.limit, n, tt.slots)
		}
		consistent(t, c, c.len())
	}
}

func TestIndexByGrant(t *testing.T) {
	t.Parallel()
	c := newCache(100)
	// Three entries in one chain, two of them of one grant; the third begins alike.
	a, b, other := placed(1, 1, 1, time.Hour), placed(2, 2, 2, time.Hour), placed(3, 3, 3, time.Hour)
	b.record = a.record
	other.record[0], other.record[31] = a.record[0], 1
	for _, e := range []*entry{a, b, other} {
		c.put(e, 0)
	}
	again := placed(1, 1, 1, 2*time.Hour)
	c.put(again, 0)
	consistent(t, c, 3)
	c.evict(a.record)
	if ids := present(c, again, b, other); len(ids) != 1 || ids[0] != 3 {
		t.Errorf("%v are left", ids)
	}
	consistent(t, c, 1)
	c.evict([32]byte{9})
	consistent(t, c, 1)
	c.evict(other.record)
	consistent(t, c, 0)
}

func TestClearForgetsEverything(t *testing.T) {
	t.Parallel()
	c := newCache(DefaultMaxEntries)
	for i := range 2000 {
		c.put(numbered(i, start.Add(time.Hour)), 0)
	}
	c.clear()
	consistent(t, c, 0)
	if n := len(c.table.Load().slots); n != leastSlots || len(c.chains) != leastSlots {
		t.Errorf("%d slots, %d chains", n, len(c.chains))
	}
	e := numbered(1, start.Add(time.Hour))
	c.put(e, c.epoch.Load())
	if c.get(e.key) != e {
		t.Error("nothing can be kept any more")
	}
}

// Every slot is swept, over several batches, and nothing that is still of use.
func TestSweepReachesEverySlot(t *testing.T) {
	t.Parallel()
	c := newCache(DefaultMaxEntries)
	var first []*entry
	for i := range ways {
		first = append(first, placed(byte(i+1), 0, 0, time.Minute))
		c.put(first[i], 0)
	}
	for i := range 5000 {
		c.put(numbered(i, start.Add(time.Duration(i%2+1)*time.Minute)), 0)
	}
	if n := len(c.table.Load().slots); n <= sweepBatch {
		t.Fatalf("%d slots are one batch", n)
	}
	c.sweep(start.Add(time.Minute - 1).UnixNano())
	consistent(t, c, 5000+ways)
	c.sweep(start.Add(time.Minute).UnixNano())
	consistent(t, c, 2500)
	if len(present(c, first...)) != 0 {
		t.Error("what is of no use any more is still given")
	}
	c.sweep(start.Add(2 * time.Minute).UnixNano())
	consistent(t, c, 0)
	full := newCache(100)
	for i := range 2 * ways {
		full.put(placed(byte(i+1), 0, 127, time.Minute), 0)
	}
	full.sweep(start.Add(time.Minute).UnixNano())
	consistent(t, full, 0)
}
