// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var listTests = []test{
	{"List/nothing", func(b *bench) { b.wantListed(store.Query{}) }},
	{"List/by kind, person, client and both", testListFilters},
	{"List/by site", func(b *bench) {
		a, other := b.record(1), b.record(1)
		a.Person, other.Person = index("p"), index("p")
		other.Site = siteB
		b.create(a)
		b.create(other)
		b.wantListed(store.Query{}, a)
		b.wantListed(store.Query{Person: a.Person}, a)
		b.wantListed(store.Query{Site: siteB}, other)
		b.wantListed(store.Query{Site: siteB, Person: a.Person}, other)
	}},
	{"List/limit", testListLimit},
	{"List/after an id that is not there", func(b *bench) {
		all := b.fill(20)
		middle := all[10].ID
		b.wantErr(b.store.Delete(b.ctx, all[10].Key, store.Version{}), nil)
		page, err := b.store.List(b.ctx, store.Query{Site: siteA, Kind: "grant", After: middle})
		b.wantErr(err, nil)
		b.wantRecords(page.Records, all[11:])
	}},
	{"List/shows the newest version", func(b *bench) {
		r := b.record(1)
		r.Person = index("p")
		b.create(r)
		u := next(r, "other")
		u.Expires = r.Expires.Add(time.Hour)
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		b.clock.Advance(time.Hour)
		b.wantListed(store.Query{}, u)
		b.wantListed(store.Query{Person: r.Person}, u)
	}},
}

// fill creates n records of person "p" and client "c" and returns them as List orders
// them.
func (b *bench) fill(n int) []store.Record {
	all := make([]store.Record, n)
	for i := range all {
		all[i] = b.record(i)
		all[i].Person, all[i].Client = index("p"), index("c")
		b.create(all[i])
	}
	byID(all)
	return all
}

func byID(records []store.Record) {
	slices.SortFunc(records, func(a, b store.Record) int { return strings.Compare(a.ID, b.ID) })
}

func testListFilters(b *bench) {
	p, q, c, d := index("p"), index("q"), index("c"), index("d")
	add := func(n int, kind store.Kind, person, client store.Index) store.Record {
		r := b.record(n)
		r.Kind, r.Person, r.Client = kind, person, client
		b.create(r)
		return r
	}
	none := store.Index{}
	pc, pd := add(1, "grant", p, c), add(2, "grant", p, d)
	qc, onlyP := add(3, "grant", q, c), add(4, "grant", p, none)
	onlyC, plain := add(5, "grant", none, c), add(6, "grant", none, none)
	code := add(1, "code", p, c)
	swapped := add(7, "grant", c, p) // an index means nothing without knowing which

	b.wantListed(store.Query{}, pc, pd, qc, onlyP, onlyC, plain, swapped)
	b.wantListed(store.Query{Person: p}, pc, pd, onlyP)
	b.wantListed(store.Query{Person: q}, qc)
	b.wantListed(store.Query{Client: c}, pc, qc, onlyC)
	b.wantListed(store.Query{Person: p, Client: c}, pc)
	b.wantListed(store.Query{Person: q, Client: d})
	b.wantListed(store.Query{Person: index("nobody")})
	b.wantListed(store.Query{Kind: "code"}, code)
	b.wantListed(store.Query{Kind: "code", Person: p}, code)
	b.wantListed(store.Query{Kind: "cod"})
}

func testListLimit(b *bench) {
	all := b.fill(store.MaxLimit + 5)
	for _, q := range []store.Query{{}, {Person: index("p")}, {Client: index("c")}} {
		q.Site, q.Kind = siteA, "grant"
		for limit, want := range map[int]int{
			0: store.MaxLimit, store.MaxLimit + 1: store.MaxLimit, 1 << 30: store.MaxLimit,
			1: 1, 7: 7, store.MaxLimit: store.MaxLimit,
		} {
			q.Limit = limit
			page, err := b.store.List(b.ctx, q)
			b.wantErr(err, nil)
			b.wantRecords(page.Records, all[:want])
			if page.Next == "" {
				b.Errorf("limit %d: the page says that it is the last", limit)
			}
		}
	}
}

// list returns all pages of q, and checks what holds for every page.
func (b *bench) list(q store.Query, between func()) []store.Record {
	b.Helper()
	var all []store.Record
	for {
		page, err := b.store.List(b.ctx, q)
		b.wantErr(err, nil)
		if limit := min(q.Limit, store.MaxLimit); limit > 0 && len(page.Records) > limit {
			b.Fatalf("page of %d records, want at most %d", len(page.Records), limit)
		}
		all = append(all, page.Records...)
		if page.Next == "" {
			return all
		}
		if page.Next <= q.After {
			b.Fatalf("Next %q does not come after %q", page.Next, q.After)
		}
		q.After = page.Next
		between()
	}
}

// wantListed checks that a listing has the live records that are wanted and no others;
// stale entries are allowed. Site and Kind default to those of bench.record.
func (b *bench) wantListed(q store.Query, want ...store.Record) {
	b.Helper()
	if q.Site == "" {
		q.Site = siteA
	}
	if q.Kind == "" {
		q.Kind = "grant"
	}
	byID(want)
	for _, limit := range []int{0, 1, 2} {
		q.Limit = limit
		b.wantRecords(b.live(q, b.list(q, func() {})), want)
	}
}

// live checks that all records match q and drops the stale ones: those that are dead or
// that Get knows otherwise.
func (b *bench) live(q store.Query, records []store.Record) []store.Record {
	b.Helper()
	none := store.Index{}
	return slices.DeleteFunc(records, func(r store.Record) bool {
		if r.Site != q.Site || r.Kind != q.Kind ||
			q.Person != none && r.Person != q.Person || q.Client != none && r.Client != q.Client {
			b.Fatalf("listed record %v does not match %v", r.Key, q)
		}
		got, err := b.store.Get(b.ctx, r.Key)
		return err != nil || difference(got, r) != ""
	})
}

func (b *bench) wantRecords(got, want []store.Record) {
	b.Helper()
	if len(got) != len(want) {
		b.Fatalf("%d records listed, want %d", len(got), len(want))
	}
	for i := range got {
		if diff := difference(got[i], want[i]); diff != "" {
			b.Fatalf("listed record %d: %s", i, diff)
		}
	}
}
