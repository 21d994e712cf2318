// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const testSite = "0011223344556677"

var begin = time.Unix(1_800_000_000, 0).UTC()

// room is a store in a server that can be looked at, with a clock that stands still.
type room struct {
	*Store
	t     *testing.T
	m     *miniredis.Miniredis
	clock *clock.Fake
}

func openRoom(t *testing.T) *room {
	t.Helper()
	r := &room{t: t, m: miniredis.RunT(t), clock: clock.NewFake(begin)}
	r.m.SetTime(begin)
	s, err := Open(t.Context(), Options{Addresses: []string{r.m.Addr()}, Prefix: "p:"}, store.Env{Now: r.clock.Now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r.Store = s
	return r
}

// pass lets time go by, for the server as well.
func (r *room) pass(d time.Duration) {
	r.clock.Advance(d)
	r.m.FastForward(d)
}

func (r *room) record(n int, life time.Duration) store.Record {
	id := sha256.Sum256(fmt.Append(nil, n))
	rec := store.Record{
		Key:    store.Key{Site: testSite, Kind: "grant", ID: hex.EncodeToString(id[:])},
		Person: sha256.Sum256([]byte("p")), Client: sha256.Sum256([]byte("c")),
		Expires: r.clock.Now().Add(life), Value: []byte("v"),
	}
	_, _ = rand.Read(rec.Version[:])
	return rec
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// queries are one for each index that a record of this test is in.
func queries(rec store.Record) []store.Query {
	return []store.Query{
		{Site: rec.Site, Kind: rec.Kind},
		{Site: rec.Site, Kind: rec.Kind, Person: rec.Person},
		{Site: rec.Site, Kind: rec.Kind, Client: rec.Client},
	}
}

func (r *room) listed(rec store.Record) {
	r.t.Helper()
	for _, q := range queries(rec) {
		page, err := r.List(context.Background(), q)
		r.must(err)
		if !slices.ContainsFunc(page.Records, func(l store.Record) bool { return l.Key == rec.Key && l.Version == rec.Version }) {
			r.t.Errorf("a live record is missing in %s", r.listKey(q))
		}
	}
}

// entries counts those in all indexes.
func (r *room) entries() (n int) {
	r.t.Helper()
	for _, key := range r.m.Keys() {
		if r.m.Type(key) == "zset" {
			members, err := r.m.ZMembers(key)
			r.must(err)
			n += len(members)
		}
	}
	return n
}

// Entries sort as ids do, and come back as they were.
func TestEntries(t *testing.T) {
	t.Parallel()
	r := openRoom(t)
	var ids, entries []string
	for n := range 300 {
		rec := r.record(n, time.Hour)
		e := entry{id: rec.ID, birth: birthOf(rec)}
		back, err := parseEntry(e.String())
		if err != nil || back != e || !back.birth.expires().Equal(rec.Expires) {
			t.Fatalf("%v became %v, %v", e, back, err)
		}
		k, back, err := parseExpiring(e.expiring(rec.Site, rec.Kind))
		if err != nil || k != rec.Key || back != e {
			t.Fatalf("%v became %v %v, %v", e, k, back, err)
		}
		if behind(rec.ID) <= e.String() {
			t.Fatal("behind an id is not behind its entry")
		}
		ids, entries = append(ids, rec.ID), append(entries, e.String())
	}
	slices.Sort(ids)
	slices.Sort(entries)
	for i, raw := range entries {
		if e, _ := parseEntry(raw); e.id != ids[i] {
			t.Fatalf("entry %d is of %s, want %s", i, e.id, ids[i])
		}
	}
	for _, raw := range []string{"", "x", strings.Repeat("x", birthSize+1), strings.Repeat("x", birthSize+40)} {
		if _, err := parseEntry(raw); err == nil {
			t.Errorf("%q is an entry", raw)
		}
		if _, _, err := parseExpiring("a:b:" + raw); err == nil {
			t.Errorf("%q is an entry", raw)
		}
	}
}

// A record that is deleted, replaced or swept leaves nothing behind.
func TestNothingStays(t *testing.T) {
	t.Parallel()
	r := openRoom(t)
	ctx := t.Context()
	a, b := r.record(1, time.Hour), r.record(2, time.Minute)
	r.must(r.Create(ctx, a))
	r.must(r.Create(ctx, b))
	r.pass(2 * time.Minute)
	again := r.record(2, time.Hour)
	r.must(r.Create(ctx, again))
	if n := r.entries(); n != 8 {
		t.Errorf("%d entries for two records, want 4 each", n)
	}
	r.must(r.Delete(ctx, a.Key, a.Version))
	r.pass(2 * time.Hour)
	r.must(r.Create(ctx, r.record(3, -time.Second)))
	if n, err := r.Sweep(ctx, r.clock.Now(), 10); err != nil || n != 1 {
		t.Errorf("swept %d, %v", n, err)
	}
	r.pass(time.Hour)
	if keys := r.m.Keys(); !slices.Equal(keys, []string{"p:layout"}) {
		t.Errorf("left are %q", keys)
	}
}

// A Create that ended between its entries and its record leaves entries without a record.
// They are garbage once that record would have expired, and not before: it may still be
// about to be written.
func TestOrphans(t *testing.T) {
	t.Parallel()
	r := openRoom(t)
	ctx := t.Context()
	rec := r.record(1, time.Hour)
	h := head{expires: rec.Expires, birth: birthOf(rec), person: rec.Person, client: rec.Client}
	r.must(r.addEntries(ctx, rec.Key, h, r.keep(rec.Expires)))
	look := func() {
		for _, q := range queries(rec) {
			page, err := r.List(ctx, q)
			r.must(err)
			if len(page.Records) != 0 {
				t.Error("a record is listed that is not there")
			}
		}
		n, err := r.Sweep(ctx, r.clock.Now(), 10)
		if err != nil || n != 0 {
			t.Errorf("swept %d, %v", n, err)
		}
	}
	look()
	r.clock.Advance(time.Hour + orphanAfter - time.Second)
	look()
	if n := r.entries(); n != 4 {
		t.Errorf("%d entries are left, want all 4", n)
	}
	r.clock.Advance(time.Second)
	look()
	if n := r.entries(); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// Whoever removes garbage and whoever creates the same record anew do not meet: the old
// entries are another's.
func TestOrphansOfAnotherCreate(t *testing.T) {
	t.Parallel()
	r := openRoom(t)
	ctx := t.Context()
	old := r.record(1, time.Second)
	h := head{expires: old.Expires, birth: birthOf(old), person: old.Person, client: old.Client}
	r.must(r.addEntries(ctx, old.Key, h, old.Expires))
	r.clock.Advance(orphanAfter + time.Minute)
	rec := r.record(1, time.Hour)
	r.must(r.Create(ctx, rec))
	r.listed(rec)
	_, err := r.Sweep(ctx, r.clock.Now(), 10)
	r.must(err)
	r.listed(rec)
	if n := r.entries(); n != 4 {
		t.Errorf("%d entries, want those of the record", n)
	}
}

// Redis removes records and indexes by itself an hour after their end, never before, and
// never an index with a live record. That holds for a record that is extended for ever.
func TestTimeToLive(t *testing.T) {
	t.Parallel()
	r := openRoom(t)
	ctx := t.Context()
	rec := r.record(1, time.Hour)
	r.must(r.Create(ctx, rec))
	for range 40 {
		r.pass(50 * time.Minute)
		u := r.record(1, time.Hour)
		r.must(r.Update(ctx, u, rec.Version))
		rec = u
		for _, key := range r.m.Keys() {
			if ttl := r.m.TTL(key); ttl < time.Hour+garbageAfter && key != r.layoutKey() {
				t.Fatalf("%q lives for %v, the record for an hour", key, ttl)
			}
		}
		r.listed(rec)
	}
	r.pass(time.Hour + garbageAfter - time.Second)
	if !r.m.Exists(r.recordKey(rec.Key)) {
		t.Error("the record was removed early")
	}
	r.pass(time.Second)
	if r.m.Exists(r.recordKey(rec.Key)) {
		t.Error("the record is still there")
	}
	if _, err := r.Get(ctx, rec.Key); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// A clock of the server that is wrong by a year removes nothing and keeps nothing alive.
func TestSec_N11_ClockOfTheServer(t *testing.T) {
	t.Parallel()
	for _, wrong := range []time.Duration{-365 * 24 * time.Hour, 365 * 24 * time.Hour} {
		r := openRoom(t)
		r.m.SetTime(begin.Add(wrong))
		rec := r.record(1, time.Hour)
		r.must(r.Create(t.Context(), rec))
		r.listed(rec)
		r.clock.Advance(time.Hour)
		if _, err := r.Get(t.Context(), rec.Key); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	}
}

// A listing that meets very many entries without a record pauses and goes on.
func TestListThroughOrphans(t *testing.T) {
	t.Parallel()
	r := openRoom(t)
	ctx := t.Context()
	var living []string
	for n := range chunk*listRounds + 300 {
		rec := r.record(n, time.Hour)
		h := head{expires: rec.Expires, birth: birthOf(rec), person: rec.Person}
		if n%100 == 0 {
			r.must(r.Create(ctx, rec))
			living = append(living, rec.ID)
			continue
		}
		r.must(r.addEntries(ctx, rec.Key, h, rec.Expires))
	}
	slices.Sort(living)
	var got []string
	q, pages := store.Query{Site: testSite, Kind: "grant"}, 0
	for {
		page, err := r.List(ctx, q)
		r.must(err)
		for _, l := range page.Records {
			got = append(got, l.ID)
		}
		pages++
		if page.Next == "" {
			break
		}
		if page.Next <= q.After {
			t.Fatalf("Next %q does not come after %q", page.Next, q.After)
		}
		q.After = page.Next
	}
	if !slices.Equal(got, living) || pages < 2 {
		t.Errorf("%d of %d records in %d pages", len(got), len(living), pages)
	}
}
