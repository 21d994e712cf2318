// SPDX-License-Identifier: Apache-2.0

package redis

// WatchSilence is how long a watch may be silent before the server is asked.
const WatchSilence = watchSilence
