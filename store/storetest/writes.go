// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var createTests = []test{
	{"Create/over a live record", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.store.Create(b.ctx, next(r, "other")), store.ErrExists)
		b.wantStored(r)
	}},
	{"Create/the same write again", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.store.Create(b.ctx, r), nil)
		b.wantStored(r)
	}},
	{"Create/the same write again after somebody changed it", func(b *bench) {
		r := b.created(1)
		u := next(r, "other")
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		b.wantErr(b.store.Create(b.ctx, r), store.ErrExists)
		b.wantStored(u)
	}},
	{"Create/replaces a dead record with its indexes", testReplaceDead},
	{"Create/dead on arrival", func(b *bench) {
		r := b.record(1)
		r.Expires = b.clock.Now().Add(-time.Second)
		b.create(r)
		b.wantAbsent(r.Key)
		b.created(1)
	}},
}

func testReplaceDead(b *bench) {
	old := b.record(1)
	old.Person, old.Client = index("old person"), index("old client")
	b.create(old)
	b.clock.Advance(time.Hour)

	r := b.record(1)
	r.Person, r.Client = index("person"), index("client")
	b.create(r)
	b.wantStored(r)
	b.wantErr(b.store.Update(b.ctx, next(r, "x"), old.Version), store.ErrConflict)
	b.wantListed(store.Query{Person: r.Person}, r)
	b.wantListed(store.Query{Client: r.Client}, r)
	b.wantListed(store.Query{Person: old.Person})
	b.wantListed(store.Query{Client: old.Client})
}

var updateTests = []test{
	{"Update/with the stored version", func(b *bench) {
		r := b.created(1)
		u := next(r, "other")
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		b.wantStored(u)
	}},
	{"Update/with another version", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.store.Update(b.ctx, next(r, "other"), version()), store.ErrConflict)
		b.wantErr(b.store.Update(b.ctx, next(r, "other"), store.Version{}), store.ErrConflict)
		b.wantStored(r)
	}},
	{"Update/absent", func(b *bench) {
		r := b.record(1)
		b.wantErr(b.store.Update(b.ctx, r, version()), store.ErrNotFound)
		b.wantErr(b.store.Update(b.ctx, r, store.Version{}), store.ErrNotFound)
		b.wantAbsent(r.Key)
	}},
	{"Update/the same write again", func(b *bench) {
		r := b.created(1)
		u := next(r, "other")
		for range 3 {
			b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		}
		b.wantStored(u)
	}},
	{"Update/the same write again after somebody changed it", func(b *bench) {
		r := b.created(1)
		u := next(r, "first")
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		later := next(r, "second")
		b.wantErr(b.store.Update(b.ctx, later, u.Version), nil)
		b.wantErr(b.store.Update(b.ctx, u, r.Version), store.ErrConflict)
		b.wantStored(later)
	}},
	{"Update/indexes are fixed at Create", testFixedIndex},
}

func testFixedIndex(b *bench) {
	r := b.record(1)
	r.Person, r.Client = index("p"), index("c")
	b.create(r)
	plain := b.created(2)

	u := next(r, "other")
	u.Person, u.Client = index("p2"), store.Index{}
	b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
	u.Person, u.Client = r.Person, r.Client
	b.wantStored(u)

	v := next(plain, "other")
	v.Person, v.Client = index("p2"), index("c")
	b.wantErr(b.store.Update(b.ctx, v, plain.Version), nil)
	v.Person, v.Client = store.Index{}, store.Index{}
	b.wantStored(v)

	b.wantListed(store.Query{Person: index("p2")})
	b.wantListed(store.Query{Person: r.Person}, u)
	b.wantListed(store.Query{Client: r.Client}, u)
}

var deleteTests = []test{
	{"Delete/with the stored version", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.store.Delete(b.ctx, r.Key, r.Version), nil)
		b.wantAbsent(r.Key)
	}},
	{"Delete/with any version", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.store.Delete(b.ctx, r.Key, store.Version{}), nil)
		b.wantAbsent(r.Key)
	}},
	{"Delete/with another version", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.store.Delete(b.ctx, r.Key, version()), store.ErrConflict)
		b.wantStored(r)
	}},
	{"Delete/absent", func(b *bench) {
		k := b.record(1).Key
		b.wantErr(b.store.Delete(b.ctx, k, store.Version{}), nil)
		b.wantErr(b.store.Delete(b.ctx, k, version()), nil)
	}},
	{"Delete/a dead record with another version", func(b *bench) {
		r := b.created(1)
		b.clock.Advance(time.Hour)
		b.wantErr(b.store.Delete(b.ctx, r.Key, version()), nil)
		b.wantAbsent(r.Key)
	}},
	{"Delete/makes room for another", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.store.Delete(b.ctx, r.Key, r.Version), nil)
		b.wantErr(b.store.Update(b.ctx, next(r, "x"), r.Version), store.ErrNotFound)
		b.created(1)
	}},
	{"Delete/leaves the listings", func(b *bench) {
		r := b.record(1)
		r.Person, r.Client = index("p"), index("c")
		b.create(r)
		b.wantErr(b.store.Delete(b.ctx, r.Key, r.Version), nil)
		again := b.record(1)
		again.Client = r.Client
		b.create(again)
		b.wantListed(store.Query{Person: r.Person})
		b.wantListed(store.Query{Client: r.Client}, again)
	}},
}

// The border: alive while now < Expires.
var expiryTests = []test{
	{"Expires/border", func(b *bench) {
		r := b.created(1)
		b.clock.Advance(time.Hour - time.Nanosecond)
		b.wantStored(r)
		b.wantErr(b.store.Create(b.ctx, next(r, "x")), store.ErrExists)
		b.clock.Advance(time.Nanosecond)
		b.wantAbsent(r.Key)
		b.wantErr(b.store.Update(b.ctx, next(r, "x"), r.Version), store.ErrNotFound)
		b.created(1)
	}},
	{"Expires/now is dead", func(b *bench) {
		r := b.record(1)
		r.Expires = b.clock.Now()
		b.create(r)
		b.wantAbsent(r.Key)
		b.wantErr(b.store.Update(b.ctx, next(r, "x"), r.Version), store.ErrNotFound)
		b.wantErr(b.store.Delete(b.ctx, r.Key, version()), nil)
		b.created(1)
	}},
	{"Expires/an update to now kills", func(b *bench) {
		r := b.created(1)
		u := next(r, "x")
		u.Expires = b.clock.Now()
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		b.wantAbsent(r.Key)
		b.wantErr(b.store.Update(b.ctx, next(u, "y"), u.Version), store.ErrNotFound)
		b.wantSwept(b.clock.Now(), 10, 1)
	}},
	{"Expires/the same create again after the end", func(b *bench) {
		r := b.created(1)
		b.clock.Advance(time.Hour)
		b.wantErr(b.store.Create(b.ctx, r), nil)
		b.wantAbsent(r.Key)
	}},
	{"Expires/extended by Update", func(b *bench) {
		r := b.created(1)
		b.clock.Advance(time.Hour - time.Second)
		u := next(r, "x")
		u.Expires = r.Expires.Add(time.Hour)
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		b.clock.Advance(time.Hour)
		b.wantStored(u)
		b.clock.Advance(time.Second)
		b.wantAbsent(u.Key)
	}},
	{"Expires/shortened by Update", func(b *bench) {
		r := b.created(1)
		u := next(r, "x")
		u.Expires = r.Expires.Add(-time.Minute)
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		b.clock.Advance(time.Hour - time.Minute - time.Second)
		b.wantStored(u)
		b.clock.Advance(time.Second)
		b.wantAbsent(u.Key)
	}},
}
