// SPDX-License-Identifier: Apache-2.0

package file

import (
	"sync"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// TestWritesShareSyncs counts what 64 clients cost that write one after the other.
func TestWritesShareSyncs(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
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
	writes, syncs := end.Writes-start.Writes, end.Syncs-start.Syncs
	if writes != clients*(each+1) {
		t.Errorf("%d writes were counted, want %d", writes, clients*(each+1))
	}
	t.Logf("%d writes, %d syncs: %.1f each", writes, syncs, float64(writes)/float64(syncs))
	if writes < 16*syncs {
		t.Errorf("%d writes took %d syncs, want at least 16 each", writes, syncs)
	}
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
