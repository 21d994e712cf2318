// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azuretest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// handles opens one table twice, as two nodes do.
func handles(t *testing.T, c Config, env store.Env) (a, b *Store) {
	t.Helper()
	var both [2]*Store
	for i := range both {
		s, err := Open(t.Context(), c, env)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		both[i] = s
	}
	return both[0], both[1]
}

func TestNodesOnAzurite(t *testing.T) {
	endpoint := azuretest.Azurite(t)
	t.Run("one node sweeps", func(t *testing.T) {
		t.Parallel()
		env, c := environment()
		a, b := handles(t, azurite(endpoint), env)
		for n := range 6 {
			if err := a.Create(t.Context(), someRecord(n)); err != nil {
				t.Fatal(err)
			}
		}
		c.Advance(time.Hour)
		wantSwept(t, a, c.Now(), 2, 2)
		wantSwept(t, b, c.Now(), 2, 0)
		c.Advance(leaseTime)
		wantSwept(t, b, c.Now(), 2, 2)
		wantSwept(t, a, c.Now(), 2, 0)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		wantSwept(t, a, c.Now(), 10, 2)
	})
	t.Run("an index entry without a record goes, but not at once", func(t *testing.T) {
		t.Parallel()
		env, c := environment()
		a, _ := handles(t, azurite(endpoint), env)
		r := someRecord(1)
		if err := errors.Join(a.Create(t.Context(), r), a.Delete(t.Context(), r.Key, r.Version)); err != nil {
			t.Fatal(err)
		}
		list := func() {
			for _, q := range []store.Query{{Person: r.Person}, {Client: r.Client}} {
				q.Site, q.Kind = r.Site, r.Kind
				if page, err := a.List(t.Context(), q); err != nil || len(page.Records) != 0 {
					t.Fatalf("%d records, %v", len(page.Records), err)
				}
			}
		}
		list()
		wantEntries(t, a, r, true)
		c.Advance(settled)
		list()
		wantEntries(t, a, r, false)
	})
	t.Run("a sweep leaves nothing", func(t *testing.T) {
		t.Parallel()
		env, c := environment()
		a, _ := handles(t, azurite(endpoint), env)
		gone, stays := someRecord(1), someRecord(2)
		if err := errors.Join(a.Create(t.Context(), gone), a.Create(t.Context(), stays), a.Delete(t.Context(), stays.Key, stays.Version)); err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Hour)
		wantSwept(t, a, c.Now(), 10, 1)
		all, err := a.query(t.Context(), "PartitionKey ne 'lease'", "")
		if err != nil || len(all) != 0 {
			t.Errorf("%d entities are left: %v, %v", len(all), all, err)
		}
	})
	t.Run("two nodes, one winner", func(t *testing.T) {
		t.Parallel()
		env, _ := environment()
		a, b := handles(t, azurite(endpoint), env)
		won := make(chan string, 64)
		var group sync.WaitGroup
		for i := range 64 {
			group.Go(func() {
				r := someRecord(1) // of another version each time
				err := []*Store{a, b}[i%2].Create(t.Context(), r)
				if err == nil {
					won <- fmt.Sprint(i)
				} else if !errors.Is(err, store.ErrExists) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if len(won) != 1 {
			t.Errorf("%d creations were acknowledged", len(won))
		}
	})
}

func wantSwept(t *testing.T, s *Store, before time.Time, limit, want int) {
	t.Helper()
	if n, err := s.Sweep(t.Context(), before, limit); err != nil || n != want {
		t.Fatalf("%d records swept, %v, want %d", n, err, want)
	}
}

// wantEntries checks whether the index entries of a record are there.
func wantEntries(t *testing.T, s *Store, r store.Record, want bool) {
	t.Helper()
	for _, partition := range indexPartitions(r.Key, r.Person, r.Client) {
		if _, _, err := s.get(t.Context(), partition, r.ID); (err == nil) != want || err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("index entry %s: %v, want it there: %v", partition, err, want)
		}
	}
}
