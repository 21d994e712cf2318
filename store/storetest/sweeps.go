// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var sweepTests = []test{
	{"Sweep/nothing", func(b *bench) {
		b.wantSwept(b.clock.Now(), 100, 0)
		r := b.created(1)
		b.wantSwept(r.Expires.Add(-time.Second), 100, 0)
		b.wantStored(r)
	}},
	{"Sweep/border", func(b *bench) {
		r := b.created(1)
		b.clock.Advance(2 * time.Hour)
		b.wantSwept(r.Expires.Add(-time.Nanosecond), 100, 0)
		b.wantSwept(r.Expires, 100, 1)
		b.wantSwept(r.Expires, 100, 0)
	}},
	{"Sweep/limit, across sites and kinds", testSweepLimit},
	{"Sweep/an extended record stays", func(b *bench) {
		r := b.created(1)
		u := next(r, "x")
		u.Expires = r.Expires.Add(time.Hour)
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		b.clock.Advance(time.Hour)
		b.wantSwept(r.Expires, 100, 0)
		b.wantStored(u)
		b.clock.Advance(time.Hour)
		b.wantSwept(u.Expires.Add(-time.Second), 100, 0)
		b.wantSwept(u.Expires, 100, 1)
	}},
	{"Sweep/a shortened record goes", func(b *bench) {
		r := b.created(1)
		u := next(r, "x")
		u.Expires = r.Expires.Add(-time.Minute)
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		b.clock.Advance(time.Hour - time.Minute)
		b.wantSwept(b.clock.Now(), 100, 1)
		b.wantSwept(r.Expires, 100, 0)
	}},
	{"Sweep/changed records among others", testSweepChanged},
	{"Sweep/a replaced record stays", func(b *bench) {
		old := b.created(1)
		b.clock.Advance(time.Hour)
		r := b.created(1)
		b.wantSwept(old.Expires, 100, 0)
		b.wantStored(r)
	}},
	{"Sweep/a deleted record does not count", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.store.Delete(b.ctx, r.Key, r.Version), nil)
		b.clock.Advance(time.Hour)
		b.wantSwept(b.clock.Now(), 100, 0)
	}},
	{"Sweep/against extension", testSweepRace},
	{"Sweep/against each other", func(b *bench) {
		b.fill(200)
		b.clock.Advance(time.Hour)
		var removed atomic.Int64
		b.allNil(race(func(i int) error {
			n, err := b.node(i).Sweep(b.ctx, b.clock.Now(), 10)
			removed.Add(int64(n))
			return err
		}))
		if removed.Load() != 200 {
			b.Fatalf("%d removals counted for 200 records", removed.Load())
		}
	}},
}

func (b *bench) wantSwept(before time.Time, limit, want int) {
	b.Helper()
	n, err := b.store.Sweep(b.ctx, before, limit)
	b.wantErr(err, nil)
	if n != want {
		b.Fatalf("%d records swept, want %d", n, want)
	}
}

func testSweepLimit(b *bench) {
	for n := range 30 {
		r := b.record(n)
		r.Site = []string{siteA, siteB}[n%2]
		r.Kind = []store.Kind{"grant", "code", "login"}[n%3]
		r.Person = index("p")
		b.create(r)
	}
	b.clock.Advance(time.Minute)
	later := b.record(31)
	later.Person = index("p")
	b.create(later)
	b.clock.Advance(time.Hour - time.Minute)
	b.wantSwept(b.clock.Now(), 0, 0)
	b.wantSwept(b.clock.Now(), 7, 7)
	b.wantSwept(b.clock.Now(), 7, 7)
	b.wantSwept(b.clock.Now(), 100, 16)
	b.wantSwept(b.clock.Now(), 100, 0)
	b.wantStored(later)
	b.wantListed(store.Query{Person: index("p")}, later)
}

// testSweepChanged gives records new times, in another order than their old ones.
func testSweepChanged(b *bench) {
	const n = 40
	first := b.clock.Now().Add(time.Hour)
	for i := range n {
		r := b.record(i)
		r.Expires = first.Add(time.Duration(i) * time.Minute)
		b.create(r)
		u := next(r, "x")
		u.Expires = first.Add(time.Duration(i*7%n) * time.Minute)
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
	}
	b.clock.Advance(3 * time.Hour)
	for i := range n {
		b.wantSwept(first.Add(time.Duration(i)*time.Minute), n, 1)
	}
}

// testSweepRace extends records while they are swept. Sweep is asked for a time at which
// they will be dead, so both may win, but an acknowledged extension must last.
func testSweepRace(b *bench) {
	all := b.fill(300)
	before := all[0].Expires
	var removed atomic.Int64
	var sweeps sync.WaitGroup
	stop := make(chan struct{})
	for sweeper := range 4 {
		sweeps.Go(func() {
			for {
				n, err := b.node(sweeper).Sweep(b.ctx, before, 3)
				removed.Add(int64(n))
				if err != nil {
					b.Errorf("Sweep: %v", err)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	extended := make([]store.Record, len(all))
	errs := race(func(i int) error {
		for n := len(all) - 1 - i; n >= 0; n -= racers {
			u := next(all[n], "extended")
			u.Expires = before.Add(time.Hour)
			err := b.node(n).Update(b.ctx, u, all[n].Version)
			switch {
			case err == nil:
				extended[n] = u
			case !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		return nil
	})
	close(stop)
	sweeps.Wait()
	b.allNil(errs)
	kept := 0
	for n, u := range extended {
		if u.ID == "" {
			b.wantAbsent(all[n].Key)
			continue
		}
		b.wantStored(u)
		kept++
	}
	if kept+int(removed.Load()) != len(all) {
		b.Fatalf("%d extended and %d removed of %d records", kept, removed.Load(), len(all))
	}
}
