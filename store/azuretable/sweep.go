// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"golang.org/x/sync/errgroup"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// reserve is how much of the time for a sweep is kept for the request that is under way
// when the rest is over.
const reserve = 300 * time.Millisecond

// Sweep implements store.Store. One node at a time sweeps, the one with the lease; for all
// others there is nothing to remove. It follows the notes up to the given time, and ends
// with what it has removed when the time of ctx is nearly over: the next sweep goes on.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if s.closed.Load() {
		return 0, errClosed
	}
	var l lease
	select {
	case l = <-s.sweeping:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { s.sweeping <- l }()
	if mine, err := s.acquire(ctx, &l); !mine || limit <= 0 {
		return 0, err
	}
	within := ctx
	if deadline, has := ctx.Deadline(); has {
		var cancel context.CancelFunc
		within, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
	}
	sweep := &sweep{Store: s, before: before, limit: int64(limit)}
	err := sweep.run(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		err = nil
	}
	return int(sweep.removed.Load()), err
}

// sweep is one run of Sweep.
type sweep struct {
	*Store
	before time.Time
	limit  int64
	// claimed counts removals that are under way or done, removed those that are done.
	claimed, removed atomic.Int64
}

// run visits the shards, beginning with another one each time: if the time is never
// enough for all, each still has its turn.
func (s *sweep) run(ctx context.Context) error {
	var first [1]byte
	if _, err := s.env.Rand.Read(first[:]); err != nil {
		return fmt.Errorf("reading randomness: %w", err)
	}
	start := int(first[0]) % len(shards)
	for _, shard := range shards[start:] + shards[:start] {
		if s.claimed.Load() >= s.limit {
			return nil
		}
		if err := s.shard(ctx, string(shard)); err != nil {
			return err
		}
	}
	return nil
}

// shard visits the due notes of a shard.
func (s *sweep) shard(ctx context.Context, shard string) error {
	due := noteRow(store.Key{}, s.before.Add(time.Second))
	due, _, _ = strings.Cut(due, "_")
	filter := fmt.Sprintf("PartitionKey eq '%s' and RowKey lt '%s'", notePartition(shard), due)
	// Only full metadata have the ETag of each entity.
	full := aztables.MetadataFormatFull
	for pager := s.table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter, Format: &full}); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return s.failure(err)
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(parallel)
		for _, raw := range page.Entities {
			note, err := unmarshal(raw)
			if err != nil {
				return err
			}
			group.Go(func() error { return s.visit(ctx, note) })
		}
		if err := group.Wait(); err != nil || s.claimed.Load() >= s.limit {
			return err
		}
	}
	return nil
}

// visit removes the record of a note if it is expired, else writes a note for its new
// time; then the old note goes. An entity that cannot be read stays as it is: it may be
// one of a newer version.
func (s *sweep) visit(ctx context.Context, note entity) error {
	at, k, err := splitNote(note.RowKey)
	if err != nil {
		return nil
	}
	old, err := s.read(ctx, k)
	switch {
	case errors.Is(err, errDamaged):
		return nil
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	case old.Expires.After(s.before):
		// The next sweep must find the record by its time.
		if old.Expires.After(at) {
			if err := s.note(ctx, k, old.Expires, old.Person, old.Client); err != nil {
				return err
			}
		}
		return s.drop(ctx, note)
	default:
		if gone, err := s.removeRecord(ctx, old); !gone || err != nil {
			return err
		}
	}
	person, client, err := note.indexes()
	if err != nil {
		return nil
	}
	for _, partition := range indexPartitions(k, person, client) {
		if err := s.forget(ctx, partition, k.ID); err != nil {
			return err
		}
	}
	return s.drop(ctx, note)
}

// removeRecord removes an expired record as it was seen, and tells whether it is gone by
// that. It is not where the limit is reached or somebody changed the record.
func (s *sweep) removeRecord(ctx context.Context, old found) (gone bool, err error) {
	if s.claimed.Add(1) > s.limit {
		return false, nil
	}
	done, err := s.remove(ctx, old.PartitionKey(), old.ID, old.etag)
	if done {
		s.removed.Add(1)
	} else {
		s.claimed.Add(-1)
	}
	return done, err
}

// drop removes a note as it was seen: one that was written again stays.
func (s *sweep) drop(ctx context.Context, note entity) error {
	_, err := s.remove(ctx, note.PartitionKey, note.RowKey, azcore.ETag(note.ETag))
	return err
}
