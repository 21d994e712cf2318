// SPDX-License-Identifier: Apache-2.0

// Package disktest has disks that are full or read-only, for tests.
package disktest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Disk is a small file system in memory.
type Disk struct {
	// Dir is where it is mounted.
	Dir string
}

// ballast is the file that takes up the space.
func (d *Disk) ballast() string { return filepath.Join(d.Dir, "ballast") }

// Fill takes up all the space that there is.
func (d *Disk) Fill(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		_, err := f.Write(block)
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Free gives the space back that Fill took.
func (d *Disk) Free(t testing.TB) {
	t.Helper()
	if err := os.Remove(d.ballast()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}
