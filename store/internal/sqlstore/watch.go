// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const (
	// pollEvery is how often a store that is not told of changes asks for them.
	pollEvery = time.Second
	// pollBatch is how many changes it asks for at a time.
	pollBatch = 500
	// keptChanges is how many changes stay for watchers that have not asked yet, where
	// they are kept at all: more than any second brings.
	keptChanges = 100_000
)

// Watch implements store.Watcher. It reports what was changed or deleted, by this node
// too; a record that is new is not reported, since nobody can have it in memory.
func (s *Store) Watch(ctx context.Context, fn func(store.Key)) error {
	if s.config.Watch != nil {
		return s.config.Watch(ctx, fn)
	}
	var last int64
	if err := s.row(ctx, "changes_last", nil, &last); err != nil {
		return err
	}
	fn(store.Key{})
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		for more := true; more; {
			changes, err := s.changes(ctx, last)
			if err != nil {
				return err
			}
			for _, c := range changes {
				last = c.seq
				fn(c.key)
			}
			more = len(changes) == pollBatch
		}
	}
}

type change struct {
	seq int64
	key store.Key
}

func (s *Store) changes(ctx context.Context, last int64) (found []change, err error) {
	err = s.try(ctx, func(ctx context.Context) error {
		found = nil
		rows, err := s.config.Read.QueryContext(ctx, s.sql["changes_since"], last, int64(pollBatch))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c change
			var id []byte
			if err := rows.Scan(&c.seq, &c.key.Site, &c.key.Kind, &id); err != nil {
				return err
			}
			c.key.ID = hex.EncodeToString(id)
			found = append(found, c)
		}
		return rows.Err()
	})
	return found, err
}
