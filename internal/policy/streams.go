// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// Streams bound the answers that stay open; both are positive.
type Streams struct {
	// MaxAge is how long one may stay open.
	MaxAge time.Duration
	// PerSession is how many one grant may have open on one node.
	PerSession int
}

// DefaultStreams are the defaults of the streams block.
func DefaultStreams() Streams { return Streams{MaxAge: time.Hour, PerSession: 64} }
