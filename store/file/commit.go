// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
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
	case s.arrived <- struct{}{}:
	default:
	}
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
		start := clock.System()
		s.commitBatch(batch)
		took := clock.System().Sub(start)
		s.writes.Add(int64(len(batch)))
		crowd := len(batch) + s.waiting()
		for _, w := range batch {
			close(w.done)
		}
		s.gather(crowd, max(took, moment))
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

const (
	// crowded is how many writers at a time are worth waiting for.
	crowded = 8
	// moment is how long they are waited for at least. It is about what a sync takes.
	moment = 2 * time.Millisecond
)

// gather waits a while for the writers that were just served to come with their next
// write, so that they share a transaction with those who came meanwhile. Without it two
// halves of a crowd take turns, and each waits for the syncs of both. The wait ends when
// the crowd is back; where a part of it stays away, the next crowd is a smaller one.
func (s *Store) gather(crowd int, patience time.Duration) {
	if crowd < crowded {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for s.waiting() < min(crowd, maxBatch) {
		select {
		case <-s.arrived:
		case <-timer.C:
			return
		}
	}
}

func (s *Store) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
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

// transact runs fn in one write transaction.
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
		if harmless(err) {
			err = fmt.Errorf("%w: %w", store.ErrRefused, err)
			if !s.refusing.Swap(true) {
				s.log.Warn("store file takes no writes; what is there can be read", "store", s.path, "error", err)
			}
		}
		err = fmt.Errorf("writing store file %s: %w", s.path, err)
		if !errors.Is(err, store.ErrRefused) {
			s.fail(err)
		}
	}()
	if err := s.commit(s.db.Load(), func(tx *bbolt.Tx) error { return fn(open(tx)) }); err != nil {
		return err
	}
	s.commits.Add(1)
	if s.refusing.Swap(false) {
		s.log.Info("store file takes writes again", "store", s.path)
	}
	return nil
}

// definite tells whether an error is one of the contract's answers.
func definite(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrConflict)
}
