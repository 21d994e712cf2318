// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package file

import "syscall"

// refused are the errors of a write to a full disk, beyond a quota, or to a disk that was
// made read-only.
var refused = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS}
