// SPDX-License-Identifier: Apache-2.0

package sqlstore

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
	after := []byte{}
	if q.After != "" {
		var err error
		if after, err = rawID(q.After); err != nil {
			return store.Page{}, err
		}
	}
	name, by := "list", []any(nil)
	switch person, client := nullable(q.Person), nullable(q.Client); {
	case person != nil && client != nil:
		name, by = "list_both", []any{person, client}
	case person != nil:
		name, by = "list_person", []any{person}
	case client != nil:
		name, by = "list_client", []any{client}
	}
	args := append([]any{s.config.Text(q.Site), s.config.Text(string(q.Kind)), after, s.now(), int64(q.Limit + 1)}, by...)
	var found []store.Record
	err := s.try(ctx, func(ctx context.Context) (err error) {
		found, err = s.query(ctx, name, args, q)
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	page := store.Page{Records: found}
	if len(found) > q.Limit {
		page.Records = found[:q.Limit]
		page.Next = found[q.Limit-1].ID
	}
	return page, nil
}

func (s *Store) query(ctx context.Context, name string, args []any, q store.Query) ([]store.Record, error) {
	rows, err := s.config.Read.QueryContext(ctx, s.sql[name], args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []store.Record
	for rows.Next() {
		var id []byte
		var f fields
		if err := rows.Scan(append([]any{&id}, f.targets()...)...); err != nil {
			return nil, err
		}
		r, err := f.record(store.Key{Site: q.Site, Kind: q.Kind, ID: hex.EncodeToString(id)})
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, rows.Err()
}
