// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// Until says with what an answer that stays open ends at the latest.
type Until string

// The values of Until.
const (
	// UntilSession lets an answer go on while the sign-in stands.
	UntilSession Until = "session"
	// UntilToken ends it with the access token that it was opened with.
	UntilToken Until = "token"
)

// Streams bound the answers that stay open.
type Streams struct {
	// Until is never "".
	Until Until
	// MaxAge is how long one may stay open; positive.
	MaxAge time.Duration
	// PerSession is how many one grant may have open on one node; positive.
	PerSession int
}

// DefaultStreams are the defaults of the streams block.
func DefaultStreams() Streams { return Streams{Until: UntilSession, MaxAge: time.Hour, PerSession: 64} }
