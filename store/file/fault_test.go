// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// failing makes the next commits fail the way bbolt would, one for each cause; nil lets
// one through. A change is there or not, as its commit got to the page that makes it
// valid or not.
func failing(s *Store, there bool, causes ...error) {
	s.commit = func(db *bbolt.DB, fn func(*bbolt.Tx) error) error {
		if len(causes) == 0 {
			return db.Update(fn)
		}
		cause := causes[0]
		causes = causes[1:]
		if cause == nil || there {
			if err := db.Update(fn); err != nil {
				return err
			}
			return cause
		}
		return db.Update(func(tx *bbolt.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			return cause
		})
	}
}

// A full disk, or one that was made read-only, refuses writes and nothing else.
func TestRefusedWriteIsNotAFault(t *testing.T) {
	t.Parallel()
	for _, no := range refused {
		s := openForTest(t)
		wantNil(t, s.Create(t.Context(), numbered(1)))
		failing(s, false, &fs.PathError{Op: "write", Path: s.path, Err: no})
		if err := s.Create(t.Context(), numbered(2)); !errors.Is(err, no) || definite(err) {
			t.Fatalf("refused write: %v", err)
		}
		if s.fault.Load() != nil {
			t.Fatal("a refused write put the file out of use")
		}
		if _, err := s.Get(t.Context(), numbered(1).Key); err != nil {
			t.Fatalf("reading: %v", err)
		}
		if _, err := s.Get(t.Context(), numbered(2).Key); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("reading what was not written: %v", err)
		}
		wantNil(t, s.Create(t.Context(), numbered(2)))
	}
}

// After a fault the file is opened again, and works when another transaction has been
// synced. Until then nothing is read: what the failed write left may not be on the disk.
func TestSec_N14_Fault(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"sync":               syscall.EIO,
		"no space in a sync": refused[0],
		"no space to grow":   &fs.PathError{Op: "truncate", Err: refused[0]},
		"write":              &fs.PathError{Op: "write", Err: syscall.EIO},
		"grow":               errors.New("file sync error: no space left on device"),
	} {
		for _, there := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, there), func(t *testing.T) {
				t.Parallel()
				s := openForTest(t)
				wantNil(t, s.Create(t.Context(), numbered(1)))
				before := s.db.Load()
				failing(s, there, cause, cause, cause)
				if err := s.Create(t.Context(), numbered(2)); !errors.Is(err, cause) || definite(err) {
					t.Fatalf("failing write: %v", err)
				}
				// The second and third failure are those of the proof that it works again.
				_, get := s.Get(t.Context(), numbered(1).Key)
				_, list := s.List(t.Context(), store.Query{Site: "s", Kind: "k"})
				for _, err := range []error{get, list} {
					if !errors.Is(err, cause) || definite(err) || !strings.Contains(err.Error(), "is out of use") {
						t.Errorf("after a fault: %v", err)
					}
				}
				_, err := s.Get(t.Context(), numbered(1).Key)
				wantNil(t, err)
				if s.db.Load() == before {
					t.Error("the file was not opened again")
				}
				if _, err := s.Get(t.Context(), numbered(2).Key); (err == nil) != there {
					t.Errorf("what the failed write wrote: %v", err)
				}
				wantNil(t, s.Create(t.Context(), numbered(2)))
			})
		}
	}
}

// A file that was put in the place of the open one is another store.
func TestFaultAndAnotherFile(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	wantNil(t, s.Create(t.Context(), numbered(1)))
	other := openForTest(t)
	failing(s, false, syscall.EIO)
	if err := s.Create(t.Context(), numbered(2)); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	wantNil(t, os.Rename(s.path, s.path+".away"))
	for _, put := range []func() error{
		func() error { return nil },
		func() error { wantNil(t, other.Close()); return os.Rename(other.path, s.path) },
	} {
		wantNil(t, put())
		if _, err := s.Get(t.Context(), numbered(1).Key); err == nil || definite(err) {
			t.Fatalf("with another file or none: %v", err)
		}
	}
	wantNil(t, os.Rename(s.path+".away", s.path))
	_, err := s.Get(t.Context(), numbered(1).Key)
	wantNil(t, err)
}

func TestPanicIsAFault(t *testing.T) {
	t.Parallel()
	s := openForTest(t)
	wantNil(t, s.Create(t.Context(), numbered(1)))
	before := s.db.Load()
	err := s.write(t.Context(), func(tables) error { panic("freed page") })
	if err == nil || definite(err) || !strings.Contains(err.Error(), "freed page") {
		t.Fatalf("panic: %v", err)
	}
	_, err = s.Get(t.Context(), numbered(1).Key)
	wantNil(t, err)
	if s.db.Load() == before {
		t.Error("the file was not opened again")
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
	failing(s, false, &fs.PathError{Op: "write", Err: refused[0]})
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
