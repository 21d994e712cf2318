// SPDX-License-Identifier: Apache-2.0

// Package file is a store in one file on a local disk, for one process. It is the
// default: nothing has to be installed, and an acknowledged write survives a crash.
package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var errClosed = errors.New("file store is closed")

// Store implements store.Store.
type Store struct {
	now  func() time.Time
	path string
	db   *bbolt.DB
	// commit runs a function in one write transaction: db.Update.
	commit func(func(*bbolt.Tx) error) error

	// fault is set once by an error after which the file cannot be trusted.
	fault  atomic.Pointer[error]
	closed atomic.Bool

	mu       sync.Mutex
	queue    []*write
	draining bool
}

// Open opens the store file, and makes it with its directory where they are absent. One
// process at a time can have a file open; Open waits one second for another to let go.
// It uses env.Now alone.
func Open(path string, env store.Env) (*Store, error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("opening store file: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, options())
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("store file %s is in use by another process; stop it or give this site another `store file <path>`", path)
	}
	if err != nil {
		return nil, fmt.Errorf("opening store file %s: %w", path, err)
	}
	if err := prepare(db); err != nil {
		return nil, errors.Join(fmt.Errorf("opening store file %s: %w", path, err), db.Close())
	}
	// bbolt syncs the file; without its directory entry that is worth nothing.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("opening store file %s: %w", path, err), db.Close())
	}
	return &Store{now: env.Now, path: path, db: db, commit: db.Update}, nil
}

// options are bbolt's, chosen so that an acknowledged write is on the disk (no NoSync,
// no NoGrowSync). The free list is written with each commit: that costs a page inside
// the same sync, while NoFreelistSync would read the whole file at every open and after
// every failed commit, which means all the time on a full disk. The map form keeps
// commits fast when a sweep has left many free pages.
func options() *bbolt.Options {
	return &bbolt.Options{
		Timeout:        time.Second,
		NoFreelistSync: false,
		FreelistType:   bbolt.FreelistMapType,
		NoStatistics:   true,
	}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if err := checkKey(k); err != nil {
		return store.Record{}, err
	}
	var r store.Record
	err := s.view(ctx, func(t tables) error {
		var err error
		if r, err = t.get(k); err != nil {
			return err
		}
		if !alive(r, s.now()) {
			return store.ErrNotFound
		}
		return nil
	})
	if err != nil {
		return store.Record{}, err
	}
	return r, nil
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, r store.Record) error {
	if err := checkRecord(&r); err != nil {
		return err
	}
	return s.write(ctx, func(t tables) error { return t.create(r, s.now()) })
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, r store.Record, prev store.Version) error {
	if err := checkRecord(&r); err != nil {
		return err
	}
	return s.write(ctx, func(t tables) error { return t.update(r, prev, s.now()) })
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	if err := checkKey(k); err != nil {
		return err
	}
	return s.write(ctx, func(t tables) error { return t.delete(k, prev, s.now()) })
}

// Close implements store.Store. It waits for the transaction that is running; writes
// that wait behind it fail.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.db.Close()
}

// view runs a function in one read transaction.
func (s *Store) view(ctx context.Context, fn func(tables) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	return s.db.View(func(tx *bbolt.Tx) error { return fn(open(tx)) })
}

func (s *Store) usable(ctx context.Context) error {
	if s.closed.Load() {
		return errClosed
	}
	if fault := s.fault.Load(); fault != nil {
		return fmt.Errorf("store file %s is out of use until it is opened again (restart the server), since a write failed: %w", s.path, *fault)
	}
	return ctx.Err()
}

func alive(r store.Record, now time.Time) bool { return now.Before(r.Expires) }

// checkRecord checks a record that is to be written and gives it a value of its own: a
// caller that stops waiting may reuse its slice before the record is written.
func checkRecord(r *store.Record) error {
	if len(r.Value) > store.MaxValue {
		return store.ErrTooLarge
	}
	r.Value = bytes.Clone(r.Value)
	return checkKey(r.Key)
}

// Interface guard.
var _ store.Store = (*Store)(nil)
