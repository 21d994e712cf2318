// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Query selects records of a kind by natural ids; an empty one does not restrict.
type Query struct {
	Person, Client string
	// After is the Next of the page before.
	After string
	// Limit is at most store.MaxLimit, which is also the default.
	Limit int
}

// Page is a part of a listing.
type Page[T any] struct {
	// Records are alive; there may be fewer than the limit before the last page.
	Records []*Record[T]
	// Next is "" on the last page.
	Next string
	// Broken counts records that were tampered with. One of them does not hide the
	// others; an event was emitted for each.
	Broken int
}

// List returns a page of the live records that match. An error is unknown.
func List[T any](ctx context.Context, v *Vault, k Kind[T], q Query) (Page[T], error) {
	keys, err := v.Keyring(ctx)
	if err != nil {
		return Page[T]{}, err
	}
	sq := store.Query{Site: v.site.String(), Kind: k.Name, After: q.After, Limit: q.Limit}
	if q.Person != "" {
		sq.Person = keys.PersonIndex(q.Person)
	}
	if q.Client != "" {
		sq.Client = keys.ClientIndex(q.Client)
	}
	found, err := v.store.List(ctx, sq)
	if err != nil {
		return Page[T]{}, fmt.Errorf("vault: listing %s: %w", k.Name, err)
	}
	page := Page[T]{Next: found.Next}
	for _, rec := range found.Records {
		if err := appendRecord(ctx, v, k, sq, rec, &page); err != nil {
			return Page[T]{}, err
		}
	}
	return page, nil
}

func appendRecord[T any](ctx context.Context, v *Vault, k Kind[T], q store.Query, rec store.Record, page *Page[T]) error {
	// A store may return index entries whose record is another's by now.
	stale := (q.Person != store.Index{} && rec.Person != q.Person) ||
		(q.Client != store.Index{} && rec.Client != q.Client)
	if stale {
		return nil
	}
	o, err := v.open(ctx, store.Key{Site: q.Site, Kind: q.Kind, ID: rec.ID}, rec)
	switch {
	case errors.Is(err, ErrTampered):
		page.Broken++
		return nil
	case errors.Is(err, errRootGone):
		return nil
	case err != nil:
		return err
	case !o.alive(v.now()):
		return nil
	}
	r, err := typed(k, o, "")
	if err != nil {
		return err
	}
	page.Records = append(page.Records, r)
	return nil
}
