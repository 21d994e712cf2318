// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"sync"
	"sync/atomic"
	"time"
)

// shards is a power of two; the first byte of a hash picks one.
const shards = 64

// key is what an answer depends on: the token (its SHA-256, so that the cache holds no
// token), where it was shown, and the policy by which it was judged.
type key struct {
	token            [32]byte
	resource, policy string
}

// entry is a positive answer. It never changes.
type entry struct {
	access *Access
	// until is when the store is asked again.
	until time.Time
	// authorization is the backend's header, reused before renew.
	authorization string
	renew         time.Time
}

// fresh tells whether the access needs no look-up.
func (e *entry) fresh(now time.Time) bool { return now.Before(e.until) }

// usable tells whether the JWT has enough life left.
func (e *entry) usable(now time.Time) bool { return now.Before(e.renew) }

func (e *entry) ready(now time.Time) bool { return e.fresh(now) && e.usable(now) }

// last is when the entry is of no use whatever.
func (e *entry) last() time.Time {
	if e.until.After(e.renew) {
		return e.until
	}
	return e.renew
}

// cache is a bounded map of positive answers.
type cache struct {
	// epoch grows with every eviction. An answer that was begun before must not be kept:
	// it may describe what was evicted.
	epoch  atomic.Uint64
	shards [shards]shard
	max    int
}

type shard struct {
	mu      sync.RWMutex
	entries map[key]*entry
}

func newCache(limit int) *cache {
	c := &cache{max: max(limit/shards, 1)}
	for i := range c.shards {
		c.shards[i].entries = map[key]*entry{}
	}
	return c
}

func (c *cache) shard(k key) *shard { return &c.shards[k.token[0]%shards] }

func (c *cache) get(k key) *entry {
	s := c.shard(k)
	s.mu.RLock()
	e := s.entries[k]
	s.mu.RUnlock()
	return e
}

// put keeps e unless something was evicted since epoch.
func (c *cache) put(k key, e *entry, epoch uint64) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.epoch.Load() != epoch {
		return
	}
	if _, exists := s.entries[k]; !exists && len(s.entries) >= c.max {
		s.dropOne()
	}
	s.entries[k] = e
}

// dropOne makes room by removing, of a few entries in the map's random order, the one
// that would end first.
func (s *shard) dropOne() {
	const sample = 8
	var victim key
	var first *entry
	n := 0
	for k, e := range s.entries {
		if first == nil || e.last().Before(first.last()) {
			victim, first = k, e
		}
		if n++; n == sample {
			break
		}
	}
	delete(s.entries, victim)
}

func (c *cache) evict(grant [16]byte) {
	c.epoch.Add(1)
	c.remove(func(e *entry) bool { return e.access.Grant == grant })
}

func (c *cache) sweep(now time.Time) {
	c.remove(func(e *entry) bool { return !now.Before(e.last()) })
}

func (c *cache) remove(dead func(*entry) bool) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for k, e := range s.entries {
			if dead(e) {
				delete(s.entries, k)
			}
		}
		s.mu.Unlock()
	}
}

func (c *cache) len() int {
	n := 0
	for i := range c.shards {
		c.shards[i].mu.RLock()
		n += len(c.shards[i].entries)
		c.shards[i].mu.RUnlock()
	}
	return n
}
