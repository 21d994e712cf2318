// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const (
	// chunk is how many index entries are read at once.
	chunk = 256
	// listRounds bounds one call of List where most entries are without a record.
	listRounds = 4
)

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	if err := s.usable(ctx, store.Key{Site: q.Site, Kind: q.Kind, ID: "0"}); err != nil {
		return store.Page{}, err
	}
	limit := q.Limit
	if limit <= 0 || limit > store.MaxLimit {
		limit = store.MaxLimit
	}
	from, err := s.start(q)
	if err != nil {
		return store.Page{}, err
	}
	w := walk{s: s, q: q, key: s.listKey(q), from: from, limit: limit}
	for range listRounds {
		if done, err := w.step(ctx); err != nil || done {
			return w.page, err
		}
	}
	w.pause()
	return w.page, nil
}

// listKey is the smallest index that has all records of the query.
func (s *Store) listKey(q store.Query) string {
	switch {
	case q.Person != store.Index{}:
		return s.personKey(q.Site, q.Kind, q.Person)
	case q.Client != store.Index{}:
		return s.clientKey(q.Site, q.Kind, q.Client)
	}
	return s.kindKey(q.Site, q.Kind)
}

// start is where the page begins, as ZRANGEBYLEX writes it.
func (s *Store) start(q store.Query) (string, error) {
	if q.After == "" {
		return "-", nil
	}
	k := store.Key{Site: q.Site, Kind: q.Kind, ID: q.After}
	return "(" + behind(q.After), checkKey(k)
}

// walk is one call of List.
type walk struct {
	s     *Store
	q     store.Query
	key   string
	from  string
	limit int
	// last and before are the last two ids among the entries that were read.
	last, before string
	page         store.Page
}

// step reads one chunk of the index with its records, and tells whether the page is done.
func (w *walk) step(ctx context.Context) (done bool, err error) {
	raw, err := w.s.client.ZRangeByLex(ctx, w.key, &redis.ZRangeBy{Min: w.from, Max: "+", Count: chunk}).Result()
	if err != nil {
		return true, explain(err)
	}
	entries := make([]entry, len(raw))
	keys := make([]store.Key, len(raw))
	for i, text := range raw {
		if entries[i], err = parseEntry(text); err != nil {
			return true, err
		}
		keys[i] = store.Key{Site: w.q.Site, Kind: w.q.Kind, ID: entries[i].id}
		if w.last != entries[i].id {
			w.before, w.last = w.last, entries[i].id
		}
	}
	records, err := w.s.getAll(ctx, keys)
	if err != nil {
		return true, err
	}
	var orphans []any
	for i, got := range records {
		if got == nil || got.head.birth != entries[i].birth {
			if entries[i].orphaned(w.s.now()) {
				orphans = append(orphans, raw[i])
			}
			continue
		}
		if full := w.take(got.record); full {
			return true, nil
		}
	}
	if len(orphans) > 0 {
		_ = w.s.client.ZRem(ctx, w.key, orphans...).Err() // a listing does not depend on it
	}
	if len(raw) < chunk {
		return true, nil
	}
	w.from = "(" + raw[len(raw)-1]
	return false, nil
}

// take judges one record and tells whether the page is full.
func (w *walk) take(r store.Record) (full bool) {
	if !alive(r.Expires, w.s.now()) || w.q.Client != (store.Index{}) && r.Client != w.q.Client {
		return false
	}
	w.page.Records = append(w.page.Records, r)
	if len(w.page.Records) < w.limit {
		return false
	}
	w.page.Next = r.ID
	return true
}

// pause ends a page that is not full. The last id may have more entries behind those that
// were read, so the next page begins with it.
func (w *walk) pause() {
	w.page.Next = w.last
	if n := len(w.page.Records); w.before != "" && (n == 0 || w.page.Records[n-1].ID != w.last) {
		w.page.Next = w.before
	}
}

// found is a stored record.
type found struct {
	record store.Record
	head   head
}

// getAll reads records in one round trip to each server; nil stands for one that is absent.
func (s *Store) getAll(ctx context.Context, keys []store.Key) ([]*found, error) {
	all := make([]*found, len(keys))
	if len(keys) == 0 {
		return all, nil
	}
	p := s.client.Pipeline()
	cmds := make([]*redis.StringCmd, len(keys))
	for i, k := range keys {
		cmds[i] = p.Get(ctx, s.recordKey(k))
	}
	_, _ = p.Exec(ctx) // each command has its own error
	for i, k := range keys {
		raw, err := cmds[i].Bytes()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, explain(err)
		}
		r, h, err := decode(k, raw)
		if err != nil {
			return nil, err
		}
		all[i] = &found{record: r, head: h}
	}
	return all, nil
}
