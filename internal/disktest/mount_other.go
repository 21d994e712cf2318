// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package disktest

import "testing"

// Mount returns nil: only Linux has disks in memory that a test can mount.
func Mount(t testing.TB) *Disk {
	t.Helper()
	return nil
}

// ReadOnly is never called.
func (*Disk) ReadOnly(testing.TB, bool) {}
