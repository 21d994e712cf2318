// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// settled is how long after its last writing an index entry may be taken for left over.
// Whoever creates a record writes the entries, then the record, within seconds; between
// the two the entries lead to nothing and must stay.
const settled = 10 * time.Minute

// announce writes what must be there before a record: the note about its expiry, and its
// index entries. Without the note nobody would ever remove what follows it.
func (s *Store) announce(ctx context.Context, r store.Record) error {
	if err := s.note(ctx, r.Key, r.Expires, r.Person, r.Client); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, partition := range indexPartitions(r.Key, r.Person, r.Client) {
		e := entity{PartitionKey: partition, RowKey: r.ID}
		e.setTime(s.env.Now())
		group.Go(func() error { return s.upsert(ctx, e) })
	}
	return group.Wait()
}

// note writes that a record is to be looked at when it expires.
func (s *Store) note(ctx context.Context, k store.Key, at time.Time, person, client store.Index) error {
	e := entity{PartitionKey: notePartition(k.ID[:1]), RowKey: noteRow(k, at)}
	e.setIndexes(person, client)
	return s.upsert(ctx, e)
}

// forget removes an index entry that leads to no record, if that is no news. The entry is
// read here, after the record was: who writes it again for a new record changes its ETag.
func (s *Store) forget(ctx context.Context, partition, id string) error {
	e, etag, err := s.get(ctx, partition, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || s.env.Now().Sub(e.time()) < settled {
		return err
	}
	_, err = s.remove(ctx, partition, id, etag)
	return err
}
