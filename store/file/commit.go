// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"go.etcd.io/bbolt"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// maxBatch is how many writes share one transaction at most.
const maxBatch = 256

// write is a change that waits for its transaction.
type write struct {
	ctx  context.Context
	fn   func(tables) error
	err  error
	done chan struct{}
}

// errUndo undoes a transaction in which one change failed half-way.
var errUndo = errors.New("the transaction was undone")

// write runs fn in a write transaction and returns its error once the transaction is on
// the disk. Writes that arrive while one is being synced share the next transaction:
// a sync costs far more than a change. They are done in the order of their arrival, so
// a write whose caller gave up never comes after one that its caller sent later.
func (s *Store) write(ctx context.Context, fn func(tables) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	w := &write{ctx: ctx, fn: fn, done: make(chan struct{})}
	s.mu.Lock()
	s.queue = append(s.queue, w)
	if !s.draining {
		s.draining = true
		go s.drain()
	}
	s.mu.Unlock()
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain commits what is in the queue until there is nothing left.
func (s *Store) drain() {
	for batch := s.take(); len(batch) > 0; batch = s.take() {
		s.commitBatch(batch)
		for _, w := range batch {
			close(w.done)
		}
	}
}

func (s *Store) take() []*write {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(maxBatch, len(s.queue))
	batch := s.queue[:n:n]
	s.queue = s.queue[n:]
	if n == 0 {
		s.queue, s.draining = nil, false
	}
	return batch
}

// commitBatch runs the writes of a batch in one transaction and sets their errors. A
// definite answer may rest on another write of the batch, so it counts only if the whole
// transaction does.
func (s *Store) commitBatch(batch []*write) {
	err := s.transact(func(t tables) error {
		for _, w := range batch {
			if w.err = w.ctx.Err(); w.err != nil {
				continue
			}
			if w.err = w.fn(t); w.err != nil && !definite(w.err) {
				return errUndo
			}
		}
		return nil
	})
	if errors.Is(err, errUndo) {
		s.commitAlone(batch)
		return
	}
	if err != nil {
		for _, w := range batch {
			w.err = err
		}
	}
}

// commitAlone gives each write of an undone batch its own transaction, so that one
// damaged record fails only those who ask for it.
func (s *Store) commitAlone(batch []*write) {
	if len(batch) == 1 {
		return
	}
	for _, w := range batch {
		s.commitBatch([]*write{w})
	}
}

// transact runs fn in one write transaction. After an error of the file itself, other
// than a full disk, the store stays out of use: a sync that failed once may succeed when
// it is repeated although the data never reached the disk.
func (s *Store) transact(fn func(tables) error) (err error) {
	if err := s.usable(context.Background()); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write transaction: %v", p)
		}
		if err == nil || errors.Is(err, errUndo) || s.closed.Load() {
			return
		}
		err = fmt.Errorf("writing store file %s: %w", s.path, err)
		if !diskFull(err) {
			s.fault.CompareAndSwap(nil, &err)
		}
	}()
	return s.commit(func(tx *bbolt.Tx) error { return fn(open(tx)) })
}

// definite tells whether an error is one of the contract's answers.
func definite(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrConflict)
}

// diskFull tells whether a write found no space. Nothing was synced then, so the same
// file works again when there is space. Only the write itself counts: no space while
// syncing means that data which the system had accepted is lost.
func diskFull(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Op == "write" && slices.ContainsFunc(noSpace, func(full syscall.Errno) bool {
		return errors.Is(path.Err, full)
	})
}
