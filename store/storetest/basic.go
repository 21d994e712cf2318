// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var basicTests = []test{
	{"Get/returns every member of what Create stored", func(b *bench) {
		r := b.record(1)
		r.Person, r.Client = index("p"), index("c")
		b.create(r)
		b.wantStored(r)
	}},
	{"Get/returns every member of what Update stored", func(b *bench) {
		r := b.created(1)
		u := next(r, "other")
		u.Expires = r.Expires.AddDate(1, 0, 0)
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		b.wantStored(u)
	}},
	{"Get/absent", func(b *bench) { b.wantAbsent(b.record(1).Key) }},
	{"Get/value of any bytes and none", func(b *bench) {
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		for n, value := range [][]byte{nil, {}, {0}, []byte("\x00\xff'\"\\%"), every} {
			r := b.record(n)
			r.Value = value
			b.create(r)
			b.wantStored(r)
		}
	}},
	{"Key/parts separate records", testKeyParts},
	{"Key/is kept byte for byte", func(b *bench) {
		r := b.record(1)
		r.Site, r.ID = "abcdefabcdefabcd", "abcdef"+r.ID[6:]
		b.create(r)
		b.wantStored(r)
	}},
	{"Key/another case is another key or none", testKeyCase},
	{"Value/limit", testLimit},
	{"Value/belongs to the caller", testAliasing},
}

// lastDigit returns another last digit for an id.
func lastDigit(id string) string {
	if strings.HasSuffix(id, "0") {
		return "1"
	}
	return "0"
}

func testKeyParts(b *bench) {
	first := b.created(1)
	keys := []store.Key{
		{Site: siteB, Kind: first.Kind, ID: first.ID},
		{Site: first.Site, Kind: "grants", ID: first.ID},
		{Site: first.Site, Kind: "code", ID: first.ID},
		{Site: first.Site, Kind: first.Kind, ID: id(2)},
		{Site: first.Site, Kind: first.Kind, ID: first.ID[:63] + lastDigit(first.ID)},
	}
	all := []store.Record{first}
	for _, k := range keys {
		b.wantAbsent(k)
		r := next(first, k.Site+string(k.Kind)+k.ID)
		r.Key = k
		b.wantErr(b.store.Update(b.ctx, r, first.Version), store.ErrNotFound)
		b.create(r)
		all = append(all, r)
	}
	for _, r := range all {
		b.wantStored(r)
	}
	for i, r := range all {
		b.wantErr(b.store.Delete(b.ctx, r.Key, store.Version{}), nil)
		b.wantAbsent(r.Key)
		for _, other := range all[i+1:] {
			b.wantStored(other)
		}
	}
}

// testKeyCase asks for keys that differ in case alone. Keys are lower case by contract,
// so a backend may refuse them; what it must not do is take them for the stored one.
func testKeyCase(b *bench) {
	r := b.record(1)
	r.Site, r.ID = "abcdefabcdefabcd", "abcdef"+r.ID[6:]
	r.Person = index("p")
	b.create(r)
	for _, k := range []store.Key{
		{Site: r.Site, Kind: r.Kind, ID: strings.ToUpper(r.ID)},
		{Site: strings.ToUpper(r.Site), Kind: r.Kind, ID: r.ID},
		{Site: r.Site, Kind: "Grant", ID: r.ID},
	} {
		switch _, err := b.store.Get(b.ctx, k); {
		case err == nil:
			b.Errorf("Get(%v) found %v", k, r.Key)
		case !errors.Is(err, store.ErrNotFound):
			continue // it refuses such keys
		}
		u := next(r, "other case")
		u.Key = k
		if err := b.store.Update(b.ctx, u, r.Version); err == nil {
			b.Errorf("Update(%v) changed %v", k, r.Key)
		}
		_ = b.store.Delete(b.ctx, k, store.Version{})
		b.wantStored(r)
		if b.store.Create(b.ctx, u) == nil {
			b.wantStored(r)
			b.wantErr(b.store.Delete(b.ctx, k, store.Version{}), nil)
		}
		b.wantStored(r)
	}
}

func testLimit(b *bench) {
	largest := bytes.Repeat([]byte{0xa5}, store.MaxValue)
	tooLarge := append(slices.Clone(largest), 0)

	r := b.record(1)
	r.Value = tooLarge
	b.wantErr(b.store.Create(b.ctx, r), store.ErrTooLarge)
	b.wantAbsent(r.Key)

	r.Value = largest
	b.create(r)
	b.wantStored(r)

	u := next(r, "")
	u.Value = tooLarge
	b.wantErr(b.store.Update(b.ctx, u, r.Version), store.ErrTooLarge)
	b.wantStored(r)

	u.Value = bytes.Repeat([]byte{0x5a}, store.MaxValue)
	b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
	b.wantStored(u)
}

func testAliasing(b *bench) {
	r := b.record(1)
	r.Person = index("p")
	r.Value = bytes.Repeat([]byte("0123456789"), 400) // too long to be kept inside another page
	want := r
	want.Value = slices.Clone(r.Value)
	b.create(r)
	clear(r.Value)
	b.wantStored(want)

	got, err := b.store.Get(b.ctx, r.Key)
	b.wantErr(err, nil)
	clear(got.Value)
	b.wantStored(want)

	for _, q := range []store.Query{{}, {Person: r.Person}} {
		q.Site, q.Kind = r.Site, r.Kind
		page, err := b.store.List(b.ctx, q)
		b.wantErr(err, nil)
		for _, listed := range page.Records {
			clear(listed.Value)
		}
		b.wantStored(want)
	}

	u := next(r, "updated")
	want = u
	want.Value = slices.Clone(u.Value)
	b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
	clear(u.Value)
	b.wantStored(want)
}
