// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"context"
	"slices"

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
	found := s.first(q, q.Limit+1)
	var page store.Page
	if len(found) > q.Limit {
		found = found[:q.Limit]
		page.Next = found[q.Limit-1].ID
	}
	for _, e := range found {
		page.Records = append(page.Records, e.copy())
	}
	return page, nil
}

// first returns the n matches with the smallest ids after q.After, in order. A set is
// unordered, so it is read once, keeping the best candidates and cutting them back to n
// whenever there are four times as many.
func (s *Store) first(q store.Query, n int) []*entry {
	now := s.now()
	best := make([]*entry, 0, 4*n)
	full := false
	for id, e := range s.walk(q) {
		if id <= q.After || full && id >= best[n-1].ID {
			continue
		}
		if !e.alive(now) || !matches(q, e) {
			continue
		}
		best = append(best, e)
		if len(best) == cap(best) {
			best, full = cut(best, n), true
		}
	}
	return cut(best, n)
}

// walk returns the smallest set that holds every match of q.
func (s *Store) walk(q store.Query) map[string]*entry {
	in := set{site: q.Site, kind: q.Kind, person: q.Person}
	if q.Person == (store.Index{}) {
		in.client = q.Client
	}
	return s.sets[in]
}

// matches tells what walk leaves open: whether an entry found by person also has the
// client.
func matches(q store.Query, e *entry) bool {
	return q.Client == (store.Index{}) || q.Client == e.Client
}

// cut sorts entries by id and keeps the first n.
func cut(entries []*entry, n int) []*entry {
	slices.SortFunc(entries, func(a, b *entry) int { return cmp.Compare(a.ID, b.ID) })
	return entries[:min(n, len(entries))]
}
