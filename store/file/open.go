// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// openFile opens and recognizes a store file. A new one is prepared; an old one is not
// written to, so it can be read on a disk that is full.
func openFile(path string, open func(string, int, os.FileMode) (*os.File, error)) (*bbolt.DB, error) {
	o := options()
	o.OpenFile = open
	db, err := bbolt.Open(path, 0o600, o)
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
	return db, nil
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
