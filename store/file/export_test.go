// SPDX-License-Identifier: Apache-2.0

package file

// NewKey publishes a key as several processes may do at once.
var NewKey = newKey
