// SPDX-License-Identifier: Apache-2.0

// Package faulty makes a store fail by plan, for tests of whatever stands on a store.
//
//	f := faulty.New(memory.New(memory.Options{}, env))
//	f.Set(faulty.None, faulty.After, faulty.Before) // two bad calls, then good ones
//	f.Only(faulty.Update, "grant")                  // and only for updates of grants
package faulty

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// ErrBroken is what a faulty call returns unless SetError says otherwise. It is unknown.
var ErrBroken = errors.New("faulty store: connection reset")

// Fault is what happens to one call.
type Fault int

const (
	// None lets the call through.
	None Fault = iota
	// Before fails the call; it has no effect.
	Before
	// After lets the call have its effect and fails it.
	After
	// Slow lets the call through after Delay, or not at all if its context ends first.
	Slow
	// Hang waits until the context ends and has no effect.
	Hang
	// Deaf ignores the context and has its effect once Release is called.
	Deaf
	// Wrong answers Get and List as if another question had been asked. Writes go through.
	Wrong
	// Panic panics.
	Panic
)

// Op names a method of the store.
type Op string

// The methods that can fail; "" means all of them.
const (
	Get    Op = "get"
	Create Op = "create"
	Update Op = "update"
	Delete Op = "delete"
	List   Op = "list"
	Sweep  Op = "sweep"
)

// Store is a store whose calls fail by plan. The zero plan lets everything through.
type Store struct {
	inner    store.Store
	release  sync.Once
	released chan struct{}

	mu     sync.Mutex
	always Fault
	plan   []Fault
	op     Op
	kind   store.Kind
	err    error
	delay  time.Duration

	reads  int
	writes int
	counts map[count]int
	inside int
	most   int
	closed bool
}

type count struct {
	op   Op
	kind store.Kind
}

// New returns a faulty store over inner, without faults so far.
func New(inner store.Store) *Store {
	return &Store{inner: inner, released: make(chan struct{}), err: ErrBroken, counts: map[count]int{}}
}

// Inner returns the store behind, which has no faults.
func (s *Store) Inner() store.Store { return s.inner }

// Set makes the next calls meet the faults of the plan, one each, and all later ones the
// fault always. Reads, Writes and Calls start to count anew.
func (s *Store) Set(always Fault, plan ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always, s.plan, s.reads, s.writes = always, plan, 0, 0
}

// Only restricts faults to one method and one kind; "" does not restrict. A call that is
// not meant uses up nothing of the plan. Sweep has no kind.
func (s *Store) Only(op Op, kind store.Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.op, s.kind = op, kind
}

// SetError replaces ErrBroken.
func (s *Store) SetError(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// SetDelay is how long Slow takes.
func (s *Store) SetDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Release lets the calls go on that are Deaf, now and later.
func (s *Store) Release() { s.release.Do(func() { close(s.released) }) }

// Calls tells how many calls came since Set.
func (s *Store) Calls() int { return s.Reads() + s.Writes() }

// Reads tells how many of the calls since Set were Get and List.
func (s *Store) Reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// Writes tells how many of the calls since Set were none of them.
func (s *Store) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Count tells how many calls of a method and a kind ever came; "" means all.
func (s *Store) Count(op Op, kind store.Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c, times := range s.counts {
		if (op == "" || op == c.op) && (kind == "" || kind == c.kind) {
			n += times
		}
	}
	return n
}

// MostInside tells how many calls were in the store at a time at most.
func (s *Store) MostInside() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// Closed tells whether Close was called.
func (s *Store) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// enter counts a call and says what happens to it.
func (s *Store) enter(op Op, kind store.Kind) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op == Get || op == List {
		s.reads++
	} else {
		s.writes++
	}
	s.counts[count{op, kind}]++
	s.inside++
	s.most = max(s.most, s.inside)
	if s.op != "" && s.op != op || s.kind != "" && s.kind != kind {
		return None
	}
	if len(s.plan) == 0 {
		return s.always
	}
	next := s.plan[0]
	s.plan = s.plan[1:]
	return next
}

func (s *Store) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside--
}

// settings returns what faults need to know.
func (s *Store) settings() (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delay, s.err
}

// do makes one call with its fault. wrong answers another question; nil means that the
// call has no such answer.
func (s *Store) do(ctx context.Context, op Op, kind store.Kind, effect func(context.Context) error, wrong func()) error {
	fault := s.enter(op, kind)
	defer s.leave()
	delay, broken := s.settings()
	switch fault {
	case Before:
		return broken
	case After:
		_ = effect(ctx)
		return broken
	case Slow:
		if err := wait(ctx, delay); err != nil {
			return err
		}
	case Hang:
		<-ctx.Done()
		return ctx.Err()
	case Deaf:
		<-s.released
		return effect(context.WithoutCancel(ctx))
	case Wrong:
		if wrong != nil {
			wrong()
			return nil
		}
	case Panic:
		panic("bug in the driver")
	}
	return effect(ctx)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wrongRecord is somebody else's.
func wrongRecord(k store.Key) store.Record {
	k.ID = strings.Repeat("f", len(k.ID))
	return store.Record{Key: k, Value: []byte("somebody else's")}
}
