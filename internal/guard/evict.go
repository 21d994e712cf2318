// SPDX-License-Identifier: Apache-2.0

package guard

// evict forgets what is known about a grant.
func (c *cache) evict(record [32]byte) {
	c.epoch.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := c.chain(&record); *at != nil; {
		if e := *at; e.record == record {
			c.drop(e)
			*at = e.next
		} else {
			at = &e.next
		}
	}
}

// clear forgets everything.
func (c *cache) clear() {
	c.epoch.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table.Store(newTable(leastSlots))
	c.chains = make([]*entry, leastSlots)
	c.count.Store(0)
}

// sweep forgets what is of no use any more; now is in unix nanoseconds.
func (c *cache) sweep(now int64) {
	for start := 0; ; {
		next, done := c.sweepPart(start, now)
		if done {
			return
		}
		start = next
	}
}

// sweepBatch is how many slots are looked at under one lock, which a look-up that ends
// meanwhile has to wait for.
const sweepBatch = 4096

func (c *cache) sweepPart(start int, now int64) (next int, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slots := c.table.Load().slots
	end := min(start+sweepBatch, len(slots))
	for i := start; i < end; i++ {
		if e := slots[i].Load(); e != nil && now >= e.last() {
			c.unlink(e)
			slots[i].Store(nil)
			c.count.Add(-1)
		}
	}
	return end, end >= len(slots)
}

func (c *cache) len() int { return int(c.count.Load()) }
