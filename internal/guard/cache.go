// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// key is what an answer depends on: the token (its SHA-256, so that the cache holds no
// token), and the resource and policy by which it was judged.
type key struct {
	token [32]byte
	realm [16]byte
}

// cache is a bounded hash table of positive answers. Readers take no lock: a slot is one
// atomic pointer to an entry that never changes. Writers take one lock, and there are few
// of them: a token is looked up once in tokens { guard_cache }.
type cache struct {
	// epoch grows with every eviction. An answer that was begun before must not be kept:
	// it may describe what was evicted.
	epoch atomic.Uint64
	table atomic.Pointer[table]
	count atomic.Int64

	mu  sync.Mutex
	max int
	// chains is the index by grant: entries whose records begin alike hang together. It is
	// as long as the table, and read by writers alone.
	chains []*entry
}

const (
	// ways is how many slots a bucket has. A key has two buckets and goes into the emptier
	// one, which keeps them even: at half load one in a million keys finds both full.
	ways = 8
	// leastSlots is the size of the first table.
	leastSlots = 1 << 10
)

// table has a power of two of slots.
type table struct {
	slots []atomic.Pointer[entry]
	mask  uint64 // of buckets
}

type bucket []atomic.Pointer[entry]

func newTable(slots int) *table {
	return &table{slots: make([]atomic.Pointer[entry], slots), mask: uint64(slots/ways - 1)}
}

// bucket returns the first or second bucket of a token. Tokens are hashed, so any eight
// bytes will do.
func (t *table) bucket(token *[32]byte, second bool) bucket {
	b := token[:8]
	if second {
		b = token[8:16]
	}
	i := (binary.LittleEndian.Uint64(b) & t.mask) * ways
	return t.slots[i : i+ways : i+ways]
}

// find returns the slot of a key, or nil.
func (b bucket) find(k *key) *atomic.Pointer[entry] {
	for i := range b {
		if e := b[i].Load(); e != nil && e.key == *k {
			return &b[i]
		}
	}
	return nil
}

// spare returns how many slots are empty, one of them, and the slot of the entry that
// would end first; each may be nil.
func (b bucket) spare() (n int, empty, first *atomic.Pointer[entry]) {
	for i := range b {
		switch e := b[i].Load(); {
		case e == nil:
			n, empty = n+1, &b[i]
		case first == nil || e.last() < first.Load().last():
			first = &b[i]
		}
	}
	return n, empty, first
}

func newCache(limit int) *cache {
	c := &cache{max: max(limit, 1), chains: make([]*entry, leastSlots)}
	c.table.Store(newTable(leastSlots))
	return c
}

func (c *cache) get(k key) *entry {
	t := c.table.Load()
	slot := t.bucket(&k.token, false).find(&k)
	if slot == nil {
		slot = t.bucket(&k.token, true).find(&k)
	}
	if slot == nil {
		return nil
	}
	if e := slot.Load(); e != nil && e.key == k {
		return e
	}
	return nil // replaced in this moment
}

// put keeps e unless something was evicted since epoch.
func (c *cache) put(e *entry, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch.Load() != epoch {
		return
	}
	t := c.roomy()
	slot := c.slotFor(t, e)
	if old := slot.Load(); old != nil {
		c.unlink(old)
	} else if c.count.Add(1); int(c.count.Load()) > c.max {
		c.dropNear(t, e)
	}
	head := c.chain(&e.record)
	e.next, *head = *head, e
	slot.Store(e)
}

// slotFor picks the slot of the same key, else an empty one in the emptier bucket, else
// that of the entry which would end first. A full cache gives up an entry of the buckets.
func (c *cache) slotFor(t *table, e *entry) *atomic.Pointer[entry] {
	one, two := t.bucket(&e.key.token, false), t.bucket(&e.key.token, true)
	for _, b := range []bucket{one, two} {
		if slot := b.find(&e.key); slot != nil {
			return slot
		}
	}
	n, empty, first := one.spare()
	n2, empty2, first2 := two.spare()
	if n2 > n {
		empty = empty2
	}
	if first == nil || first2 != nil && first2.Load().last() < first.Load().last() {
		first = first2
	}
	if empty != nil && (first == nil || int(c.count.Load()) < c.max) {
		return empty
	}
	return first
}

// roomy returns a table that is at most half full, as far as the bound allows, so that
// buckets hardly ever overflow.
func (c *cache) roomy() *table {
	t := c.table.Load()
	if n := int(c.count.Load()); 2*(n+1) <= len(t.slots) || len(t.slots) >= 2*c.max {
		return t
	}
	bigger := newTable(2 * len(t.slots))
	c.chains = make([]*entry, len(bigger.slots))
	c.count.Store(0)
	for i := range t.slots {
		e := t.slots[i].Load()
		if e == nil {
			continue
		}
		// Readers may hold e: they look at nothing but what never changes.
		slot := c.slotFor(bigger, e)
		if slot.Load() != nil {
			continue
		}
		slot.Store(e)
		c.count.Add(1)
		head := c.chain(&e.record)
		e.next, *head = *head, e
	}
	c.table.Store(bigger)
	return bigger
}

// dropNear makes room in a full cache for e, whose buckets are empty: it drops the next
// entry after them.
func (c *cache) dropNear(t *table, e *entry) {
	start := (binary.LittleEndian.Uint64(e.key.token[:8]) & t.mask) * ways
	for i := range uint64(len(t.slots)) {
		slot := &t.slots[(start+i)&uint64(len(t.slots)-1)]
		if old := slot.Load(); old != nil {
			c.unlink(old)
			slot.Store(nil)
			c.count.Add(-1)
			return
		}
	}
}

func (c *cache) chain(record *[32]byte) **entry {
	return &c.chains[binary.LittleEndian.Uint64(record[:8])&uint64(len(c.chains)-1)]
}

// unlink takes an entry out of the index.
func (c *cache) unlink(e *entry) {
	for at := c.chain(&e.record); *at != nil; at = &(*at).next {
		if *at == e {
			*at = e.next
			return
		}
	}
}

// drop takes an entry out of the table; it is still in the index.
func (c *cache) drop(e *entry) {
	t := c.table.Load()
	for _, second := range []bool{false, true} {
		if slot := t.bucket(&e.key.token, second).find(&e.key); slot != nil && slot.Load() == e {
			slot.Store(nil)
			c.count.Add(-1)
			return
		}
	}
}
