// SPDX-License-Identifier: Apache-2.0

package file

import "syscall"

// refused are ERROR_WRITE_PROTECT, ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL.
var refused = []syscall.Errno{19, 39, 112}
