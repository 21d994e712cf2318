// SPDX-License-Identifier: Apache-2.0

// Package file is a store in one file on a local disk, for one process. It is the
// default: nothing has to be installed, and an acknowledged write survives a crash.
package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var errClosed = errors.New("file store is closed")

// Store implements store.Store.
type Store struct {
	now  func() time.Time
	path string
	log  *slog.Logger
	// commit runs a function in one write transaction: (*bbolt.DB).Update.
	commit func(*bbolt.DB, func(*bbolt.Tx) error) error

	// db is replaced when the file is opened again after a fault.
	db     atomic.Pointer[bbolt.DB]
	closed atomic.Bool
	// fault is an error after which the file cannot be trusted before it is opened again.
	fault atomic.Pointer[error]
	// refusing tells whether the last write was refused by the disk.
	refusing atomic.Bool
	// reopening is held while db is replaced or closed.
	reopening sync.Mutex
	// identity is the file that was opened first.
	identity os.FileInfo

	writes, commits atomic.Int64

	mu       sync.Mutex
	queue    []*write
	draining bool
	arrived  chan struct{} // takes one when the queue has grown
}

// Open opens the store file, and makes it with its directory where they are absent. One
// process at a time can have a file open; Open waits one second for another to let go.
// It uses env.Now and env.Log.
func Open(path string, env store.Env) (*Store, error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("opening store file: %w", err)
	}
	db, err := openFile(path, os.OpenFile)
	if err != nil {
		return nil, err
	}
	s := &Store{now: env.Now, path: path, log: env.Log, commit: (*bbolt.DB).Update, arrived: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.identity, err = os.Stat(path); err != nil {
		return nil, errors.Join(fmt.Errorf("opening store file: %w", err), db.Close())
	}
	s.db.Store(db)
	return s, nil
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
	s.reopening.Lock()
	defer s.reopening.Unlock()
	return s.db.Load().Close()
}

// Stats are counts since the store was opened.
type Stats struct {
	// Writes is how many changes were acknowledged or refused for good.
	Writes int64
	// Syncs is how often the disk was waited for: twice for each transaction, once for
	// its pages and once for the page that makes them valid. The file grows rarely, and
	// the sync that this costs is not counted.
	Syncs int64
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	return Stats{Writes: s.writes.Load(), Syncs: 2 * s.commits.Load()}
}

// view runs a function in one read transaction.
func (s *Store) view(ctx context.Context, fn func(tables) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	return s.db.Load().View(func(tx *bbolt.Tx) error { return fn(open(tx)) })
}

// usable opens the file again where it has to be.
func (s *Store) usable(ctx context.Context) error {
	if s.closed.Load() {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.fault.Load() == nil {
		return nil
	}
	return s.revive()
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
