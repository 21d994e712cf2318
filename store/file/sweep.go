// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// sweepStep is how many hints one transaction looks at, so that other writes wait for
// some milliseconds at most.
const sweepStep = 500

// Sweep implements store.Store. It follows the expiry hints up to the given time. A hint
// whose record was extended moves to the record's new time.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	removed := 0
	var from []byte
	for removed < limit {
		var step sweep
		err := s.write(ctx, func(t tables) error {
			step = sweep{tables: t, before: before, room: limit - removed}
			return step.run(from)
		})
		if err != nil {
			return removed, err
		}
		removed += step.removed
		if step.next == nil {
			break
		}
		from = step.next
	}
	return removed, nil
}

// sweep is one transaction of Sweep.
type sweep struct {
	tables
	before  time.Time
	room    int
	removed int
	// next is the hint to go on with, nil where no due hint is left.
	next []byte
}

func (s *sweep) run(from []byte) error {
	// A cursor must not be used across changes of its bucket.
	for _, hint := range s.due(from) {
		if s.removed == s.room {
			return nil
		}
		if err := s.visit(hint); err != nil {
			return err
		}
	}
	return nil
}

// due returns the hints of this step and sets next.
func (s *sweep) due(from []byte) [][]byte {
	var due [][]byte
	cursor := s.expiry.Cursor()
	for hint, _ := cursor.Seek(from); hint != nil && s.isDue(hint); hint, _ = cursor.Next() {
		if len(due) == sweepStep {
			s.next = bytes.Clone(hint)
			break
		}
		due = append(due, bytes.Clone(hint))
	}
	return due
}

func (s *sweep) isDue(hint []byte) bool {
	at, _, err := splitExpiryKey(hint)
	return err != nil || !at.After(s.before)
}

// visit removes the record of a hint if it is expired, else moves the hint. A record
// that cannot be read stays as it is: it may be one of a newer version.
func (s *sweep) visit(hint []byte) error {
	_, key, err := splitExpiryKey(hint)
	if err != nil {
		return nil
	}
	r, err := s.get(key)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil
	case r.Expires.After(s.before):
		if err := s.hint(r); err != nil {
			return err
		}
	default:
		s.removed++
		if err := s.remove(r); err != nil {
			return err
		}
	}
	return s.expiry.Delete(hint)
}
