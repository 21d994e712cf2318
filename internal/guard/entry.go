// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"
)

// part numbers the texts of an entry.
type part int

const (
	textClient part = iota
	textSubject
	textName
	textUsername
	textEmail
	textAuthorization // the header for the backend
	textForward       // the values of the forwarded headers, each ended by a line feed
	textHolder        // what opens the data key of the grant together with the token
	parts
)

// entry is a positive answer. It never changes after it was put into the cache, but for
// next. It has few pointers, since the garbage collector follows each one in every
// collection: all texts are parts of one string.
type entry struct {
	key    key
	grant  [16]byte
	record [32]byte
	// claims is the digest of the access behind the answer.
	claims [32]byte
	// until is when the store is asked again, renew when the JWT is worn; unix nanoseconds.
	until, renew int64
	// noted is when the use of the token was last an event; unix nanoseconds.
	noted int64

	text string
	ends [parts]uint32
	// expires is when the token ends; unix seconds, in what ends leaves of a word.
	expires uint32

	// next is the next entry of the same chain in the index of the cache.
	next *entry
}

// newEntry returns an entry that says what a says, without times.
func newEntry(k key, t *Target, a *Access, authorization string) *entry {
	p := a.Person
	e := &entry{key: k, grant: a.Grant, record: a.Record, expires: uint32(a.Expires.Unix())}
	var b []byte
	for i, s := range [parts]string{
		textClient: a.Client, textSubject: p.Subject, textName: p.Name, textUsername: p.PreferredUsername,
		textEmail: verifiedEmail(p), textAuthorization: authorization, textForward: forwarded(t, a),
		textHolder: a.Holder,
	} {
		b = append(b, s...)
		e.ends[i] = uint32(len(b))
	}
	e.text = string(b)
	return e
}

// get returns one text. It shares memory with the entry.
func (e *entry) get(f part) string {
	start := uint32(0)
	if f > 0 {
		start = e.ends[f-1]
	}
	return e.text[start:e.ends[f]]
}

// ready tells whether the answer needs neither look-up nor a new JWT.
func (e *entry) ready(now int64) bool { return now < e.until && now < e.renew }

// last is when the entry is of no use whatever.
func (e *entry) last() int64 { return max(e.until, e.renew) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
