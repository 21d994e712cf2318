// SPDX-License-Identifier: Apache-2.0

// Package limit bounds how often something may be done: by one address, or by everybody
// together. It forgets the address that was quiet longest, so its memory has a fixed size
// however many addresses there are.
package limit

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// maxAddresses is how many addresses are remembered at once.
const maxAddresses = 1 << 16

// Addresses is a token bucket for each address. It is safe for concurrent use.
type Addresses struct {
	now    clock.Func
	mu     sync.Mutex
	byAddr map[netip.Prefix]*list.Element
	recent *list.List // of *bucket, the most recently used first
}

type bucket struct {
	prefix netip.Prefix
	*rate.Limiter
}

// New returns an empty set of buckets.
func New(now clock.Func) *Addresses {
	return &Addresses{now: now, byAddr: map[netip.Prefix]*list.Element{}, recent: list.New()}
}

// Take spends one event of addr, of which there are events in a window. When there is
// none left it returns false and how long to wait for one.
func (a *Addresses) Take(addr netip.Addr, events int, window time.Duration) (wait time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b, now := a.bucket(addr, events, window), a.now()
	if b.AllowN(now, 1) {
		return 0, true
	}
	return untilOne(b.Limiter, now), false
}

// Empty tells whether addr has spent all its events, without spending one.
func (a *Addresses) Empty(addr netip.Addr, events int, window time.Duration) (wait time.Duration, empty bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, known := a.byAddr[prefixOf(addr)]
	if !known {
		return 0, false
	}
	b, now := e.Value.(*bucket), a.now()
	if b.TokensAt(now) >= 1 {
		return 0, false
	}
	return untilOne(b.Limiter, now), true
}

func (a *Addresses) bucket(addr netip.Addr, events int, window time.Duration) *bucket {
	limit := perSecond(events, window)
	p := prefixOf(addr)
	if e, ok := a.byAddr[p]; ok {
		a.recent.MoveToFront(e)
		b := e.Value.(*bucket)
		if b.Limit() != limit || b.Burst() != events {
			b.SetLimitAt(a.now(), limit)
			b.SetBurstAt(a.now(), events)
		}
		return b
	}
	if a.recent.Len() >= maxAddresses {
		oldest := a.recent.Back()
		delete(a.byAddr, oldest.Value.(*bucket).prefix)
		a.recent.Remove(oldest)
	}
	b := &bucket{prefix: p, Limiter: rate.NewLimiter(limit, events)}
	a.byAddr[p] = a.recent.PushFront(b)
	return b
}

// prefixOf is what counts as one address: an IPv6 customer has a /64 to choose from.
func prefixOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}
