// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func openForTest(t *testing.T) *Store {
	t.Helper()
	before := func() time.Time { return time.Unix(1_700_000_000, 0) }
	s, err := Open(filepath.Join(t.TempDir(), "store.db"), store.Env{Now: before})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func numbered(n byte) store.Record {
	r := sample(true, true)
	r.ID = fmt.Sprintf("%064x", n)
	return r
}

func wantNil(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// failOnce makes the next commit fail the way bbolt would.
func failOnce(s *Store, cause error) {
	commit := s.commit
	s.commit = func(fn func(*bbolt.Tx) error) error {
		s.commit = commit
		return commit(func(tx *bbolt.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			return cause
		})
	}
}

func TestFullDiskIsNotAFault(t *testing.T) {
	t.Parallel()
	for _, full := range noSpace {
		s := openForTest(t)
		wantNil(t, s.Create(t.Context(), numbered(1)))
		cause := &fs.PathError{Op: "write", Path: s.path, Err: full}
		failOnce(s, cause)
		if err := s.Create(t.Context(), numbered(2)); !errors.Is(err, full) || definite(err) {
			t.Fatalf("on a full disk: %v", err)
		}
		if _, err := s.Get(t.Context(), numbered(1).Key); err != nil {
			t.Fatalf("reading on a full disk: %v", err)
		}
		if _, err := s.Get(t.Context(), numbered(2).Key); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("reading what was not written: %v", err)
		}
		wantNil(t, s.Create(t.Context(), numbered(2)))
	}
}

func TestSec_N14_FaultLasts(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"sync":               syscall.EIO,
		"no space in a sync": noSpace[0],
		"no space to grow":   &fs.PathError{Op: "truncate", Err: noSpace[0]},
		"write":              &fs.PathError{Op: "write", Err: syscall.EIO},
		"grow":               errors.New("file sync error: no space left on device"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openForTest(t)
			wantNil(t, s.Create(t.Context(), numbered(1)))
			failOnce(s, cause)
			if err := s.Create(t.Context(), numbered(2)); !errors.Is(err, cause) || definite(err) {
				t.Fatalf("failing write: %v", err)
			}
			_, get := s.Get(t.Context(), numbered(1).Key)
			_, list := s.List(t.Context(), store.Query{Site: "s", Kind: "k"})
			for _, err := range []error{get, list, s.Create(t.Context(), numbered(3))} {
				if !errors.Is(err, cause) || definite(err) || !strings.Contains(err.Error(), "until it is opened again") {
					t.Errorf("after a fault: %v", err)
				}
			}
			wantNil(t, s.Close())
			again, err := Open(s.path, store.Env{Now: s.now})
			wantNil(t, err)
			_, err = again.Get(t.Context(), numbered(1).Key)
			wantNil(t, err)
			wantNil(t, again.Close())
		})
	}
}

func TestPanicIsAFault(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	err := s.write(t.Context(), func(tables) error { panic("freed page") })
	if err == nil || definite(err) || !strings.Contains(err.Error(), "freed page") {
		t.Fatalf("panic: %v", err)
	}
	if _, err := s.Get(t.Context(), numbered(1).Key); err == nil || definite(err) {
		t.Fatalf("after a panic: %v", err)
	}
}

// One record that cannot be read fails those who ask for it and nobody else, and Sweep
// goes past it.
func TestDamagedRecordHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	for n := range byte(10) {
		wantNil(t, s.Create(t.Context(), numbered(n)))
	}
	bad := numbered(3)
	wantNil(t, s.write(t.Context(), func(tb tables) error {
		return tb.records.Put(recordKey(bad.Key), []byte{recordFormat, 0})
	}))

	errs := make([]error, 10)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() {
			r := numbered(byte(n))
			r.Version = store.Version{9}
			errs[n] = s.Update(t.Context(), r, numbered(0).Version)
		})
	}
	wg.Wait()
	for n, err := range errs {
		if n != 3 && err != nil || n == 3 && !errors.Is(err, errDamaged) {
			t.Errorf("record %d: %v", n, err)
		}
	}
	if _, err := s.Get(t.Context(), bad.Key); !errors.Is(err, errDamaged) || definite(err) {
		t.Errorf("Get: %v", err)
	}
	if n, err := s.Sweep(t.Context(), bad.Expires, 100); n != 9 || err != nil {
		t.Errorf("Sweep removed %d, %v", n, err)
	}
}

// A change that fails half-way is undone with its whole transaction, and the others of
// the transaction are done without it.
func TestBatchIsUndoneTogether(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	half := errors.New("half-way")
	writes := []*write{
		{fn: func(tb tables) error { return tb.create(numbered(1), s.now()) }},
		{fn: func(tb tables) error { _ = tb.put(numbered(2)); return half }},
		{fn: func(tb tables) error { return tb.create(numbered(1), s.now()) }},
		{fn: func(tb tables) error { return tb.delete(numbered(2).Key, store.Version{1}, s.now()) }},
	}
	for _, w := range writes {
		w.ctx = t.Context()
	}
	s.commitBatch(writes)
	for n, want := range []error{nil, half, nil, nil} {
		if !errors.Is(writes[n].err, want) {
			t.Errorf("write %d: %v, want %v", n, writes[n].err, want)
		}
	}
	if _, err := s.Get(t.Context(), numbered(2).Key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("half of a change is there: %v", err)
	}
}

// A definite answer that rests on a failed transaction is no answer.
func TestAnswersOfAFailedTransaction(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	other := numbered(1)
	other.Version = store.Version{9}
	writes := []*write{
		{ctx: t.Context(), fn: func(tb tables) error { return tb.create(numbered(1), s.now()) }},
		{ctx: t.Context(), fn: func(tb tables) error { return tb.create(other, s.now()) }},
	}
	failOnce(s, &fs.PathError{Op: "write", Err: noSpace[0]})
	s.commitBatch(writes)
	for n, w := range writes {
		if w.err == nil || definite(w.err) {
			t.Errorf("write %d: %v", n, w.err)
		}
	}
}

// A write whose caller gave up before its turn is not done behind their back.
func TestAbandonedWriteIsSkipped(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	ctx, cancel := context.WithCancel(t.Context())
	entered, gate := make(chan struct{}), make(chan struct{})
	slow := make(chan error)
	go func() {
		slow <- s.write(t.Context(), func(tables) error { close(entered); <-gate; return nil })
	}()
	<-entered
	waiting := make(chan error)
	go func() { waiting <- s.Create(ctx, numbered(1)) }()
	for queued := 0; queued == 0; {
		s.mu.Lock()
		queued = len(s.queue)
		s.mu.Unlock()
	}
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Fatalf("abandoned write: %v", err)
	}
	close(gate)
	wantNil(t, <-slow)
	wantNil(t, s.Create(t.Context(), numbered(2)))
	if _, err := s.Get(t.Context(), numbered(1).Key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("abandoned write: %v", err)
	}
}
