// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/disktest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// fullDisk is a disk that can be filled and freed under an open store: a real one where
// the process may mount it, else one whose writes are refused.
type fullDisk struct {
	*Store
	fill, free func()
}

func newFullDisk(t *testing.T) fullDisk {
	t.Helper()
	disk := disktest.Mount(t)
	if disk == nil {
		s := openForTest(t)
		var full atomic.Bool
		s.commit = func(db *bbolt.DB, change func(*bbolt.Tx) error) error {
			return db.Update(func(tx *bbolt.Tx) error {
				if err := change(tx); err != nil || !full.Load() {
					return err
				}
				return &fs.PathError{Op: "write", Path: s.path, Err: refused[0]}
			})
		}
		return fullDisk{s, func() { full.Store(true) }, func() { full.Store(false) }}
	}
	s, err := Open(filepath.Join(disk.Dir, "store.db"), store.Env{Now: func() time.Time { return time.Unix(1, 0) }})
	wantNil(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return fullDisk{s, func() { disk.Fill(t) }, func() { disk.Free(t) }}
}

func large(n int) store.Record {
	r := numbered(0)
	r.ID, r.Value = fmt.Sprintf("%064x", n), make([]byte, 8<<10)
	return r
}

// A full disk is no answer about a record. What was there can be read and what was not
// written is not there; when there is space again the store goes on by itself.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := newFullDisk(t)
	wantNil(t, s.Create(t.Context(), large(0)))
	for round := range 3 {
		s.fill()
		n := 1 + 1000*round
		var err error
		for ; err == nil && n < 1000*round+200; n++ {
			err = s.Create(t.Context(), large(n))
		}
		if definite(err) || !errors.Is(err, refused[0]) || !errors.Is(err, store.ErrRefused) {
			t.Fatalf("round %d: after %d records: %v", round, n, err)
		}
		if _, err := s.Get(t.Context(), large(n-1).Key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what was not written: %v", err)
		}
		if _, err := s.Get(t.Context(), large(0).Key); err != nil {
			t.Errorf("reading on a full disk: %v", err)
		}
		s.free()
		wantNil(t, s.Create(t.Context(), large(n-1)))
		for i := 1 + 1000*round; i < n; i++ {
			if _, err := s.Get(t.Context(), large(i).Key); err != nil {
				t.Errorf("record %d: %v", i, err)
			}
			wantNil(t, s.Delete(t.Context(), large(i).Key, store.Version{}))
		}
	}
}

// A store on a full disk opens, and can be read.
func TestOpenOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := newFullDisk(t)
	wantNil(t, s.Create(t.Context(), large(0)))
	wantNil(t, s.Close())
	s.fill()
	again, err := Open(s.path, store.Env{Now: s.now})
	wantNil(t, err)
	t.Cleanup(func() { _ = again.Close() })
	_, err = again.Get(t.Context(), large(0).Key)
	wantNil(t, err)
}

// A read-only disk is said to be one, and the store opens when it no longer is.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	disk := disktest.Mount(t)
	if disk == nil {
		return // TestRefusedWriteIsNotAFault has the error without the disk.
	}
	path := filepath.Join(disk.Dir, "store.db")
	e := store.Env{Now: func() time.Time { return time.Unix(1, 0) }}
	s, err := Open(path, e)
	wantNil(t, err)
	wantNil(t, s.Create(t.Context(), numbered(1)))
	wantNil(t, s.Close())
	disk.ReadOnly(t, true)
	if _, err := Open(path, e); !errors.Is(err, syscall.EROFS) {
		t.Fatalf("opening on a read-only disk: %v", err)
	}
	disk.ReadOnly(t, false)
	s, err = Open(path, e)
	wantNil(t, err)
	defer s.Close()
	_, err = s.Get(t.Context(), numbered(1).Key)
	wantNil(t, err)
	wantNil(t, s.Create(t.Context(), numbered(2)))
}
