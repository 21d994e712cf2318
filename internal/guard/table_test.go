// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"crypto/sha256"
	"strconv"
	"sync"
	"testing"
	"time"
)

// numbered is an entry of its own token; every ten of them belong to one grant.
func numbered(i int, until time.Time) *entry {
	return &entry{
		key: key{token: sha256.Sum256([]byte(strconv.Itoa(i)))}, record: sha256.Sum256([]byte{byte(i / 10), byte(i / 2560)}),
		until: until.UnixNano(), renew: until.UnixNano(),
	}
}

func TestSec_H11_CacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 700
	c := newCache(limit)
	for i := range 20_000 {
		e := numbered(i, start.Add(time.Minute))
		c.put(e, 0)
		if c.get(e.key) != e {
			t.Fatalf("entry %d is not there", i)
		}
		if n := c.len(); n > limit {
			t.Fatalf("%d entries", n)
		}
	}
	if n := c.len(); n < limit*9/10 {
		t.Errorf("only %d entries", n)
	}
	if n := len(c.table.Load().slots); n > 4*limit {
		t.Errorf("%d slots", n)
	}
	c.sweep(start.Add(time.Minute).UnixNano())
	if n := c.len(); n != 0 {
		t.Errorf("%d entries after the sweep", n)
	}
	for i, head := range c.chains {
		if head != nil {
			t.Fatalf("chain %d still has an entry", i)
		}
	}
}

// What the table grows by is not lost, and the index by grant stays complete.
func TestCacheGrows(t *testing.T) {
	t.Parallel()
	const n = 5000
	c := newCache(DefaultMaxEntries)
	for i := range n {
		c.put(numbered(i, start.Add(time.Minute)), 0)
	}
	found := 0
	for i := range n {
		if c.get(numbered(i, start).key) != nil {
			found++
		}
	}
	if found != c.len() || found != n {
		t.Errorf("%d found, %d counted of %d", found, c.len(), n)
	}
	for i := range n / 10 {
		c.evict(numbered(10*i, start).record)
	}
	if c.len() != 0 {
		t.Errorf("%d entries after every grant was evicted", c.len())
	}
}

// In a full cache the entry of the buckets goes that would end first.
func TestFullCacheGivesUpTheOldest(t *testing.T) {
	t.Parallel()
	c := newCache(leastSlots / 2)
	for i := range c.max {
		c.put(numbered(i, start.Add(time.Duration(i+1)*time.Second)), 0)
	}
	for i := c.max; i < 2*c.max; i++ {
		e := numbered(i, start.Add(time.Duration(i+1)*time.Second))
		oldest := func() *entry {
			var first *entry
			for _, second := range []bool{false, true} {
				_, _, slot := c.table.Load().bucket(&e.key.token, second).spare()
				if slot != nil && (first == nil || slot.Load().last() < first.last()) {
					first = slot.Load()
				}
			}
			return first
		}()
		c.put(e, 0)
		if oldest != nil && c.get(oldest.key) != nil {
			t.Fatalf("entry %d took the place of a younger one", i)
		}
		if c.len() != c.max {
			t.Fatalf("%d entries", c.len())
		}
	}
}

// A token whose answer is replaced has one entry.
func TestNewAnswerReplacesTheOld(t *testing.T) {
	t.Parallel()
	c := newCache(100)
	a, b := numbered(1, start), numbered(1, start.Add(time.Hour))
	c.put(a, 0)
	c.put(b, 0)
	if c.get(a.key) != b || c.len() != 1 {
		t.Errorf("%d entries", c.len())
	}
	c.evict(a.record)
	if c.get(a.key) != nil || c.len() != 0 {
		t.Error("the old answer came back")
	}
}

// Readers, writers and evictions at once; the race detector watches.
func TestCacheConcurrently(t *testing.T) {
	t.Parallel()
	c := newCache(1000)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				e := numbered(w*2000+i, start.Add(time.Hour))
				c.put(e, c.epoch.Load())
				if got := c.get(e.key); got != nil && got.key != e.key {
					t.Error("an answer for another token")
				}
				if i%100 == 0 {
					c.evict(e.record)
					if c.get(e.key) != nil {
						t.Error("an evicted answer is still given")
					}
				}
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			c.sweep(start.UnixNano())
		}
	})
	wg.Wait()
}
