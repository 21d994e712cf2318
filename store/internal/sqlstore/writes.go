// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// errMoving says that a record changed between a write and the look at what stopped it,
// so that the write may succeed now. It says nothing about the record.
var errMoving = errors.New("the record changed while it was written")

// again bounds how often a write starts over because of that.
const again = 8

// settle runs a write until it is decided.
func (s *Store) settle(ctx context.Context, write func(context.Context) error) error {
	return s.try(ctx, func(ctx context.Context) error {
		var err error
		for range again {
			if err = write(ctx); !errors.Is(err, errMoving) {
				return err
			}
		}
		return err
	})
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, r store.Record) error {
	if len(r.Value) > store.MaxValue {
		return store.ErrTooLarge
	}
	key, err := s.key(r.Key)
	if err != nil {
		return err
	}
	args := append(key[:len(key):len(key)], r.Version[:], nullable(r.Person), nullable(r.Client), seconds(r.Expires), bytes(r.Value))
	return s.settle(ctx, func(ctx context.Context) error {
		n, err := s.exec(ctx, "create", append(args[:len(args):len(args)], s.now())...)
		if err != nil || n > 0 {
			return err
		}
		switch v, err := s.stored(ctx, key); {
		case errors.Is(err, store.ErrNotFound):
			return errMoving
		case err != nil:
			return err
		case v == r.Version:
			return nil
		default:
			return store.ErrExists
		}
	})
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, r store.Record, prev store.Version) error {
	if len(r.Value) > store.MaxValue {
		return store.ErrTooLarge
	}
	key, err := s.key(r.Key)
	if err != nil {
		return err
	}
	args := append(key[:len(key):len(key)], r.Version[:], seconds(r.Expires), bytes(r.Value))
	err = s.settle(ctx, func(ctx context.Context) error {
		n, err := s.exec(ctx, "update", append(args[:len(args):len(args)], s.now(), prev[:])...)
		if err != nil || n > 0 {
			return err
		}
		switch v, err := s.stored(ctx, key); {
		case err != nil:
			return err
		case v == r.Version:
			return nil
		case v == prev:
			return errMoving
		default:
			return store.ErrConflict
		}
	})
	// An unknown outcome may be a change.
	if s.config.Changed != nil && !definite(err) {
		s.config.Changed(r.Key)
	}
	return err
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	key, err := s.key(k)
	if err != nil {
		return err
	}
	if prev == (store.Version{}) {
		return s.settle(ctx, func(ctx context.Context) error {
			_, err := s.exec(ctx, "delete_any", key...)
			return err
		})
	}
	return s.settle(ctx, func(ctx context.Context) error {
		n, err := s.exec(ctx, "delete", append(key[:len(key):len(key)], prev[:])...)
		if err != nil || n > 0 {
			return err
		}
		switch v, err := s.stored(ctx, key); {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err != nil:
			return err
		case v == prev:
			return errMoving
		default:
			return store.ErrConflict
		}
	})
}

// Sweep implements store.Store. It also removes as many entries of the audit trail that
// are older than the retention, and changes that every watcher has seen.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	var removed int64
	err := s.try(ctx, func(ctx context.Context) (err error) {
		removed, err = s.exec(ctx, "sweep", seconds(before), int64(limit))
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := s.tidy(ctx, limit); err != nil && s.env.Log != nil {
		s.env.Log.WarnContext(ctx, "old entries of the audit trail were not removed", "error", err)
	}
	return int(removed), nil
}

func (s *Store) tidy(ctx context.Context, limit int) error {
	if _, ok := s.sql["changes_prune"]; ok {
		err := s.try(ctx, func(ctx context.Context) error {
			_, err := s.exec(ctx, "changes_prune", int64(keptChanges))
			return err
		})
		if err != nil {
			return err
		}
	}
	if s.config.NoAudit || s.config.Retention <= 0 {
		return nil
	}
	_, err := s.Prune(ctx, s.env.Now().Add(-s.config.Retention), limit)
	return err
}
