// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	var l lease
	select {
	case l = <-s.sweeping:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { s.sweeping <- l }()
	if s.closed.Load() {
		return 0, errClosed
	}
	if mine, err := s.acquire(ctx, &l); !mine || limit <= 0 {
		return 0, err
	}
	within := ctx
	if deadline, has := ctx.Deadline(); has {
		var cancel context.CancelFunc
		within, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
	}
	sweep := &sweep{Store: s, before: before, limit: limit}
	err := sweep.run(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		err = nil
	}
	return int(sweep.removed.Load()), err
}

// sweep is one run of Sweep.
type sweep struct {
	*Store
	before  time.Time
	limit   int
	removed atomic.Int64
}

// room is how many more records may be removed.
func (s *sweep) room() int { return s.limit - int(s.removed.Load()) }

// run visits the shards, beginning with another one each time: if the time is never
// enough for all, each still has its turn.
func (s *sweep) run(ctx context.Context) error {
	var first [1]byte
	if _, err := io.ReadFull(s.env.Rand, first[:]); err != nil {
		return fmt.Errorf("reading randomness: %w", err)
	}
	start := int(first[0]) % len(shards)
	for _, shard := range shards[start:] + shards[:start] {
		if s.room() <= 0 {
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
		if err := s.visitAll(ctx, page.Entities); err != nil || s.room() <= 0 {
			return err
		}
	}
	return nil
}

// visitAll visits notes, several at once but never more than may still be removed.
func (s *sweep) visitAll(ctx context.Context, notes [][]byte) error {
	for s.room() > 0 && len(notes) > 0 {
		n := min(parallel, s.room(), len(notes))
		group, ctx := errgroup.WithContext(ctx)
		for _, raw := range notes[:n] {
			note, err := unmarshal(raw)
			if err != nil {
				continue
			}
			group.Go(func() error { return s.visit(ctx, note) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		notes = notes[n:]
	}
	return nil
}

// visit removes the record of a note if it is expired, else writes a note for its new
// time; then the old note goes. An entity that cannot be read stays as it is: it may be
// one of a newer version.
func (s *sweep) visit(ctx context.Context, note entity) error {
	k, err := splitNote(note.RowKey)
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
		// The record was extended. A later sweep must find it by its new time.
		if err := s.note(ctx, k, old.Expires, old.Person, old.Client); err != nil {
			return err
		}
		return s.drop(ctx, note)
	default:
		done, err := s.remove(ctx, old.partition(), old.ID, old.etag)
		if !done || err != nil {
			return err
		}
		s.removed.Add(1)
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

// drop removes a note as it was seen: one that was written again stays.
func (s *sweep) drop(ctx context.Context, note entity) error {
	etag := azcore.ETag(note.ETag)
	if etag == "" {
		// The listing came without. A note that was written again since leads to a record
		// that has another one.
		var err error
		if _, etag, err = s.get(ctx, note.PartitionKey, note.RowKey); err != nil {
			return absentIsFine(err)
		}
	}
	_, err := s.remove(ctx, note.PartitionKey, note.RowKey, etag)
	return err
}

func absentIsFine(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
