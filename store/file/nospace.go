// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package file

import "syscall"

// noSpace are the errors of a write to a full disk, or beyond a quota.
var noSpace = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}
