// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"golang.org/x/sync/errgroup"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// parallel is how many entities are asked for at once.
const parallel = 16

// List implements store.Store. It returns no expired record.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	if s.closed.Load() {
		return store.Page{}, errClosed
	}
	if err := azure.CheckPlace(q.Site, q.Kind); err != nil {
		return store.Page{}, err
	}
	if q.Limit <= 0 || q.Limit > store.MaxLimit {
		q.Limit = store.MaxLimit
	}
	// One more tells whether this page is the last.
	records, err := s.list(ctx, q, q.Limit+1)
	if err != nil {
		return store.Page{}, err
	}
	if len(records) <= q.Limit {
		return store.Page{Records: records}, nil
	}
	return store.Page{Records: records[:q.Limit], Next: records[q.Limit-1].ID}, nil
}

func (s *Store) list(ctx context.Context, q store.Query, want int) ([]store.Record, error) {
	none := store.Index{}
	switch {
	case q.Person != none:
		return s.listIndexed(ctx, q, personPartition(q.Site, q.Kind, q.Person), azure.Wide, want)
	case q.Client != none:
		return s.listIndexed(ctx, q, clientPartition(q.Site, q.Kind, q.Client), azure.Narrow, want)
	}
	return azure.Window(q.After, azure.Narrow, want, func(from, to string, _ int) ([]store.Record, error) {
		return s.scan(ctx, q, from, to)
	})
}

// scan returns the living records between two ids. Their partitions follow each other.
func (s *Store) scan(ctx context.Context, q store.Query, from, to string) ([]store.Record, error) {
	first, last := "00", "ff"
	if from != "" {
		first = from[:2]
	}
	if len(to) > 1 {
		last = to[:2]
	}
	entities, err := s.query(ctx, fmt.Sprintf("PartitionKey ge '%s' and PartitionKey le '%s' and RowKey gt '%s' and RowKey lt '%s'",
		recordPartition(q.Site, q.Kind, first), recordPartition(q.Site, q.Kind, last), from, to), "")
	if err != nil {
		return nil, err
	}
	var records []store.Record
	for _, e := range entities {
		r, err := e.record(q.Site, q.Kind)
		if err != nil {
			return nil, err
		}
		if s.alive(r) {
			records = append(records, r)
		}
	}
	return records, nil
}

// listIndexed returns the living records that the entries of one partition lead to.
func (s *Store) listIndexed(ctx context.Context, q store.Query, partition string, width, want int) ([]store.Record, error) {
	return azure.Window(q.After, width, want, func(from, to string, room int) ([]store.Record, error) {
		entries, err := s.query(ctx, fmt.Sprintf("PartitionKey eq '%s' and RowKey gt '%s' and RowKey lt '%s'", partition, from, to), "PartitionKey,RowKey")
		if err != nil {
			return nil, err
		}
		var records []store.Record
		for part := range slices.Chunk(entries, parallel) {
			if len(records) >= room {
				break
			}
			some, err := s.follow(ctx, q, part)
			if err != nil {
				return nil, err
			}
			records = append(records, some...)
		}
		return records, nil
	})
}

// follow returns the living records that index entries lead to, and removes the entries
// that lead to none.
func (s *Store) follow(ctx context.Context, q store.Query, entries []entity) ([]store.Record, error) {
	all := make([]*store.Record, len(entries))
	group, ctx := errgroup.WithContext(ctx)
	for i, e := range entries {
		group.Go(func() error {
			r, err := s.read(ctx, store.Key{Site: q.Site, Kind: q.Kind, ID: e.RowKey})
			switch {
			case errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(indexPartitions(r.Key, r.Person, r.Client), e.PartitionKey):
				// Whether that works does not matter to this listing.
				_ = s.forget(ctx, e.PartitionKey, e.RowKey)
			case err != nil:
				return err
			case s.alive(r.Record) && (q.Client == store.Index{} || q.Client == r.Client):
				all[i] = &r.Record
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var records []store.Record
	for _, r := range all {
		if r != nil {
			records = append(records, *r)
		}
	}
	return records, nil
}

// query returns all entities that match, by row. Table Storage would sort them, Cosmos DB
// does not. An empty selection is everything.
func (s *Store) query(ctx context.Context, filter, selection string) ([]entity, error) {
	options := &aztables.ListEntitiesOptions{Filter: &filter}
	if selection != "" {
		options.Select = &selection
	}
	var all []entity
	for pager := s.table.NewListEntitiesPager(options); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, s.failure(err)
		}
		for _, raw := range page.Entities {
			e, err := unmarshal(raw)
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b entity) int { return cmp.Compare(a.RowKey, b.RowKey) })
	return all, nil
}
