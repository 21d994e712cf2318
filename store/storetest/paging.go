// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// A listing may be stale, but a record that lives during the whole of it is there.
var pagingTests = []test{
	{"List/paging under change by kind", func(b *bench) { b.testPaging(store.Query{}) }},
	{"List/paging under change by person", func(b *bench) { b.testPaging(store.Query{Person: index("p")}) }},
	{"List/paging under change by client", func(b *bench) { b.testPaging(store.Query{Client: index("c")}) }},
	{"List/paging past the dead", func(b *bench) {
		all := b.fill(60)
		var dead []store.Record
		for i, r := range all {
			if i%10 != 9 {
				u := next(r, "short")
				u.Expires = b.clock.Now().Add(time.Second)
				b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
				dead = append(dead, u)
			}
		}
		b.clock.Advance(time.Second)
		for _, r := range dead {
			b.wantAbsent(r.Key)
		}
		var living []store.Record
		for i := 9; i < len(all); i += 10 {
			living = append(living, all[i])
		}
		b.wantListed(store.Query{}, living...)
		b.wantListed(store.Query{Person: index("p")}, living...)
		b.wantListed(store.Query{Client: index("c")}, living...)
	}},
}

// testPaging lists while records come, go, change and expire between the pages, and
// others do so beside them.
func (b *bench) testPaging(q store.Query) {
	q.Site, q.Kind, q.Limit = siteA, "grant", 9
	all := b.fill(100)
	stays, goes := all[:0:0], all[:0:0]
	for i, r := range all {
		if i%3 == 0 {
			stays = append(stays, r)
		} else {
			goes = append(goes, r)
		}
	}

	stop := make(chan struct{})
	noise := make(chan error, 1)
	go func() { noise <- b.makeNoise(stop) }()

	added := 1000
	listed := b.list(q, func() {
		for range 5 {
			if len(goes) > 0 {
				b.wantErr(b.store.Delete(b.ctx, goes[0].Key, store.Version{}), nil)
				goes = goes[1:]
			}
			r := b.record(added)
			r.Person, r.Client = index("p"), index("c")
			b.create(r)
			added++
		}
		i := added % len(stays)
		u := next(stays[i], "changed")
		b.wantErr(b.store.Update(b.ctx, u, stays[i].Version), nil)
		stays[i] = u
	})
	close(stop)
	b.wantErr(<-noise, nil)
	b.wantOrdered(listed)
	for _, r := range stays {
		if !slices.ContainsFunc(listed, func(l store.Record) bool { return l.Key == r.Key }) {
			b.Fatalf("record %s lived during the whole listing and is not in it", r.ID)
		}
	}
}

// makeNoise creates and deletes records that match every query until stop.
func (b *bench) makeNoise(stop <-chan struct{}) error {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		r := b.record(100_000 + n%50)
		r.Person, r.Client = index("p"), index("c")
		if err := b.store.Create(b.ctx, r); err != nil {
			return fmt.Errorf("create: %w", err)
		}
		if err := b.store.Delete(b.ctx, r.Key, r.Version); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
}

func (b *bench) wantOrdered(records []store.Record) {
	b.Helper()
	if !slices.IsSortedFunc(records, func(x, y store.Record) int { return strings.Compare(x.ID, y.ID) }) {
		b.Fatal("the listing is not ordered by id")
	}
	ids := make(map[string]bool)
	for _, r := range records {
		if ids[r.ID] {
			b.Fatalf("record %s is listed twice", r.ID)
		}
		ids[r.ID] = true
	}
}
