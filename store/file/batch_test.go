// SPDX-License-Identifier: Apache-2.0

package file

import (
	"sync"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// TestWritesShareSyncs counts what 64 clients cost that write one after the other. Where
// the machine is busy with something else, clients come late and share less; that does
// not happen every time.
func TestWritesShareSyncs(t *testing.T) {
	t.Parallel()
	const wanted = 16
	best := 0.0
	for round := 0; round < 10 && best < wanted; round++ {
		writes, syncs := crowd(t, openForTest(t))
		best = max(best, float64(writes)/float64(syncs))
		t.Logf("%d writes, %d syncs: %.1f each", writes, syncs, best)
	}
	if best < wanted {
		t.Errorf("at best %.1f writes shared a sync, want at least %d", best, wanted)
	}
}

// crowd lets 64 clients write and returns how many writes and syncs that were.
func crowd(t *testing.T, s *Store) (writes, syncs int64) {
	t.Helper()
	const clients, each = 64, 50
	var wg sync.WaitGroup
	start := s.Stats()
	for c := range clients {
		wg.Go(func() {
			r := numbered(byte(c))
			if err := s.Create(t.Context(), r); err != nil {
				t.Error(err)
			}
			for n := range byte(each) {
				prev := r.Version
				r.Version = store.Version{byte(c), n + 1}
				if err := s.Update(t.Context(), r, prev); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	end := s.Stats()
	writes, syncs = end.Writes-start.Writes, end.Syncs-start.Syncs
	if writes != clients*(each+1) {
		t.Errorf("%d writes were counted, want %d", writes, clients*(each+1))
	}
	return writes, syncs
}

// One writer is not kept waiting for others.
func TestLoneWriterWaitsForNobody(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	for n := range byte(20) {
		wantNil(t, s.Create(t.Context(), numbered(n)))
	}
	if got := s.Stats(); got.Writes != 20 || got.Syncs != 40 {
		t.Errorf("%+v, want a transaction for each of 20 writes", got)
	}
}
