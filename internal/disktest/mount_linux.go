// SPDX-License-Identifier: Apache-2.0

package disktest

import (
	"syscall"
	"testing"
)

// Mount mounts a disk of one megabyte that ends with the test. It returns nil where the
// process may not mount, which needs root.
func Mount(t testing.TB) *Disk {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size=1m,mode=700")
	if err != nil {
		t.Logf("mounting a small disk: %v", err)
		return nil
	}
	t.Cleanup(func() {
		// What is still open keeps the disk alive, not the mount.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return &Disk{Dir: dir}
}

// ReadOnly remounts the disk so that nobody can write to it, or so that they can. Nothing
// on it may be open for writing.
func (d *Disk) ReadOnly(t testing.TB, on bool) {
	t.Helper()
	flags := uintptr(syscall.MS_REMOUNT | syscall.MS_NOSUID | syscall.MS_NODEV)
	if on {
		flags |= syscall.MS_RDONLY
	}
	if err := syscall.Mount("tmpfs", d.Dir, "tmpfs", flags, "size=1m"); err != nil {
		t.Fatal(err)
	}
}
