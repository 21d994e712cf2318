// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// An extension leaves its hint behind. Sweep moves it once and then finds nothing.
func TestHintsAreCleanedUp(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	r := numbered(1)
	wantNil(t, s.Create(t.Context(), r))
	u := r
	u.Version, u.Expires = store.Version{2}, r.Expires.Add(time.Hour)
	wantNil(t, s.Update(t.Context(), u, r.Version))
	for _, step := range []struct {
		before time.Time
		want   int
		hints  int
	}{{r.Expires, 0, 1}, {u.Expires.Add(-time.Second), 0, 1}, {u.Expires, 1, 0}} {
		n, err := s.Sweep(t.Context(), step.before, 10)
		wantNil(t, err)
		hints := 0
		wantNil(t, s.view(t.Context(), func(tb tables) error {
			hints = tb.expiry.Inspect().KeyN
			return nil
		}))
		if n != step.want || hints != step.hints {
			t.Errorf("sweep to %v: %d removed, %d hints left, want %d and %d", step.before, n, hints, step.want, step.hints)
		}
	}
}

// More hints than one transaction looks at, most of them of deleted or extended records.
func TestSweepInSteps(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	var wg sync.WaitGroup
	for n := range 2*sweepStep + 100 {
		wg.Go(func() {
			r := sample(false, false)
			r.ID = fmt.Sprintf("%064x", n)
			if err := s.Create(context.Background(), r); err != nil {
				t.Error(err)
			}
			if n%50 == 0 {
				return
			}
			u := r
			u.Version, u.Expires = store.Version{2}, r.Expires.Add(time.Hour)
			if err := s.Update(context.Background(), u, r.Version); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n, err := s.Sweep(t.Context(), sample(false, false).Expires, 10_000); n != 22 || err != nil {
		t.Errorf("Sweep removed %d of 22, %v", n, err)
	}
}

func TestListLeavesOutTheDead(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	for n := range byte(4) {
		r := numbered(n)
		r.Expires = s.now().Add(time.Duration(n) / 2 * time.Second)
		wantNil(t, s.Create(t.Context(), r))
	}
	r := numbered(0)
	for _, q := range []store.Query{{}, {Person: r.Person}, {Client: r.Client}} {
		q.Site, q.Kind = r.Site, r.Kind
		page, err := s.List(t.Context(), q)
		if err != nil || len(page.Records) != 2 || page.Next != "" {
			t.Errorf("%d records, next %q, %v, want the two that live", len(page.Records), page.Next, err)
		}
	}
}
