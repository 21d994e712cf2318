// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"go.etcd.io/bbolt"
)

// fail notes an error of the file itself. Nothing is read or written before the file has
// been opened again: a sync that failed once may succeed when it is repeated although
// the data never reached the disk.
func (s *Store) fail(err error) {
	if s.fault.CompareAndSwap(nil, &err) {
		s.log.Error("store file is out of use until it has been opened again", "store", s.path, "error", err)
	}
}

// revive opens the file again after a fault. That is safe, although the system may show
// pages that it could not write: what bbolt had synced before is intact, and what it had
// not is unknown to those who wrote it. Such a change can be visible now without being
// on the disk, so nobody may see it before another transaction has been synced, whose
// meta page replaces the doubtful one.
func (s *Store) revive() error {
	if !s.reopening.TryLock() {
		return fmt.Errorf("store file %s is being opened again, since a write failed", s.path)
	}
	defer s.reopening.Unlock()
	fault := s.fault.Load()
	if s.closed.Load() {
		return errClosed
	}
	if fault == nil {
		return nil
	}
	if err := s.reopen(); err != nil {
		return fmt.Errorf("store file %s is out of use, since a write failed: %w; and opening it again failed: %w", s.path, *fault, err)
	}
	s.fault.Store(nil)
	s.log.Info("store file is in use again", "store", s.path)
	return nil
}

func (s *Store) reopen() error {
	// Close is repeatable, and gives the lock of the file back even where it fails.
	_ = s.db.Load().Close()
	db, err := openFile(s.path, s.sameFile)
	if err != nil {
		return err
	}
	err = s.commit(db, func(tx *bbolt.Tx) error {
		return tx.Bucket(aboutBucket).Put(formatKey, []byte{fileFormat})
	})
	if err != nil {
		return errors.Join(fmt.Errorf("writing to store file %s: %w", s.path, err), db.Close())
	}
	s.db.Store(db)
	return nil
}

// sameFile opens the file that was open before and no other: a file that somebody put in
// its place would answer "not found" to people who are signed in.
func (s *Store) sameFile(name string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, s.identity) {
		err = errors.New("another file was put in its place; restart the server to use it")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// harmless tells whether a write was refused before the system accepted any data: the
// disk is full or was made read-only. The same file works again when that has changed.
// Only the write itself counts: no space while syncing means that data which the system
// had accepted is lost.
func harmless(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Op == "write" && slices.ContainsFunc(refused, func(no syscall.Errno) bool {
		return errors.Is(path.Err, no)
	})
}
