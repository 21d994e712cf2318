// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// What lives during a whole listing is in it, however busy others are with it.
var churnTests = []test{
	{"List/never omits a record that is updated", testListUpdated},
	{"List/never omits a record that was made again", testListRemade},
	{"List/never omits a record that outlived its first expiry", func(b *bench) {
		r := b.record(1)
		r.Person, r.Client = index("p"), index("c")
		b.create(r)
		for range 3 {
			u := next(r, "extended")
			u.Expires = r.Expires.Add(time.Hour)
			b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
			b.clock.Advance(time.Hour)
			b.wantSwept(b.clock.Now(), 100, 0)
			b.wantListed(store.Query{}, u)
			b.wantListed(store.Query{Person: r.Person}, u)
			b.wantListed(store.Query{Client: r.Client}, u)
			r = u
		}
	}},
}

// churnRounds is how many listings a test makes while others work.
const churnRounds = 30

// during runs work in several goroutines, each in a loop, until check is through.
func (b *bench) during(work func(worker int) error, check func()) {
	b.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			for errs[i] == nil {
				select {
				case <-stop:
					return
				default:
					errs[i] = work(i)
				}
			}
		})
	}
	defer func() {
		close(stop)
		wg.Wait()
		b.allNil(errs)
	}()
	check()
}

// testListUpdated lists while every record is being updated through both handles.
func testListUpdated(b *bench) {
	all := b.fill(20)
	current := make([]store.Record, len(all))
	copy(current, all)
	b.during(func(worker int) error {
		for n := worker; n < len(current); n += 4 {
			u := next(current[n], "updated")
			u.Expires = current[n].Expires.Add(time.Second)
			if err := b.node(n).Update(b.ctx, u, current[n].Version); err != nil {
				return fmt.Errorf("update: %w", err)
			}
			current[n] = u
		}
		return nil
	}, func() {
		for round := range churnRounds {
			for _, q := range []store.Query{{}, {Person: index("p")}, {Client: index("c")}} {
				q.Site, q.Kind, q.Limit = siteA, "grant", 7+round%5
				b.wantIDs(b.list(q, func() {}), all)
			}
		}
	})
}

func (b *bench) wantIDs(got, want []store.Record) {
	b.Helper()
	b.wantOrdered(got)
	there := make(map[string]bool)
	for _, r := range got {
		there[r.ID] = true
	}
	for _, r := range want {
		if !there[r.ID] {
			b.Fatalf("record %s lived during the whole listing and is not in it", r.ID)
		}
	}
}

// testListRemade makes a record again and again while others list and sweep, which is
// when stale index entries are removed. Once it is made it must be listed.
func testListRemade(b *bench) {
	q := store.Query{Site: siteA, Kind: "grant", Person: index("p")}
	b.during(func(worker int) error {
		if worker == 0 {
			_, err := b.second.Sweep(b.ctx, b.clock.Now().Add(-time.Minute), 10)
			return err
		}
		_, err := b.node(worker).List(b.ctx, q)
		return err
	}, func() {
		for round := range churnRounds {
			r := b.record(1)
			r.Person, r.Client = index("p"), index("c")
			b.wantErr(b.node(round).Create(b.ctx, r), nil)
			for _, q := range []store.Query{{}, {Person: r.Person}, {Client: r.Client}} {
				b.wantListed(q, r)
			}
			b.wantErr(b.node(round).Delete(b.ctx, r.Key, r.Version), nil)
		}
	})
}
