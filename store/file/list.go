// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"context"
	"errors"

	"go.etcd.io/bbolt"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// List implements store.Store. It returns no expired record. A page is one read
// transaction, which ends with the page: a longer one would keep bbolt from reusing
// space.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	if q.Limit <= 0 || q.Limit > store.MaxLimit {
		q.Limit = store.MaxLimit
	}
	if err := checkKey(store.Key{Site: q.Site, Kind: q.Kind, ID: "any"}); err != nil {
		return store.Page{}, err
	}
	var page store.Page
	err := s.view(ctx, func(t tables) error {
		var err error
		page, err = s.page(ctx, t, q)
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

func (s *Store) page(ctx context.Context, t tables, q store.Query) (store.Page, error) {
	var page store.Page
	now := s.now()
	bucket, prefix := t.index(q)
	cursor := bucket.Cursor()
	for key := after(cursor, prefix, q.After); bytes.HasPrefix(key, prefix); key, _ = cursor.Next() {
		if err := ctx.Err(); err != nil {
			return page, err
		}
		id := string(key[len(prefix):])
		r, err := t.get(store.Key{Site: q.Site, Kind: q.Kind, ID: id})
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return page, err
		}
		if !alive(r, now) || q.Client != (store.Index{}) && q.Client != r.Client {
			continue
		}
		if len(page.Records) == q.Limit {
			page.Next = page.Records[q.Limit-1].ID
			break
		}
		page.Records = append(page.Records, r)
	}
	return page, nil
}

// index returns the bucket in which the ids of all matches follow one prefix, in order.
func (t tables) index(q store.Query) (bucket *bbolt.Bucket, prefix []byte) {
	prefix = place(q.Site, q.Kind)
	switch {
	case q.Person != store.Index{}:
		return t.persons, append(prefix, q.Person[:]...)
	case q.Client != store.Index{}:
		return t.clients, append(prefix, q.Client[:]...)
	}
	return t.records, prefix
}

// after moves the cursor to the first key whose id is larger than the given one.
func after(cursor *bbolt.Cursor, prefix []byte, id string) []byte {
	start := append(bytes.Clone(prefix), id...)
	key, _ := cursor.Seek(start)
	if id != "" && bytes.Equal(key, start) {
		key, _ = cursor.Next()
	}
	return key
}
