// SPDX-License-Identifier: Apache-2.0

package file

import "syscall"

// noSpace are ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL.
var noSpace = []syscall.Errno{39, 112}
