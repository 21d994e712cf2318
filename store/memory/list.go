// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"encoding/hex"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// List implements store.Store. It returns no expired record.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	if q.Limit <= 0 || q.Limit > store.MaxLimit {
		q.Limit = store.MaxLimit
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return store.Page{}, err
	}
	var page store.Page
	now := s.now()
	x, start := s.order(q)
	for r := range x.from(start) {
		e := s.entries.at(r)
		if at := x.at(r); at.place != start.place || at.about != start.about {
			break
		}
		id := hex.EncodeToString(e.id[:])
		if id <= q.After || !e.alive(now) || q.Client != (store.Index{}) && q.Client != e.client {
			continue
		}
		if len(page.Records) == q.Limit {
			page.Next = page.Records[q.Limit-1].ID
			break
		}
		page.Records = append(page.Records, s.record(e))
	}
	return page, nil
}

// order returns the index in which all matches of q follow one another, and where they
// begin: at q.After, or at its first bytes where it is no whole id.
func (s *Store) order(q store.Query) (*index, position) {
	start := position{place: s.place(place{q.Site, q.Kind}, false)}
	// What does not decode stays zero, which is before.
	after := q.After[:min(len(q.After)/2*2, 2*len(start.id))]
	_, _ = hex.Decode(start.id[:], []byte(after))
	switch {
	case q.Person != store.Index{}:
		start.about = q.Person
		return &s.byPerson, start
	case q.Client != store.Index{}:
		start.about = q.Client
		return &s.byClient, start
	}
	return &s.byID, start
}
