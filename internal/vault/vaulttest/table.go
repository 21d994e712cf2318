// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// table is a map behind a mutex. It keeps the contract of store.Store as simply as
// possible.
type table struct {
	now func() time.Time

	mu      sync.Mutex
	records map[store.Key]store.Record
}

// live returns the live record under k. The mutex is held.
func (t *table) live(k store.Key) (store.Record, bool) {
	r, ok := t.records[k]
	return r, ok && t.now().Before(r.Expires)
}

// Get implements store.Store.
func (t *table) Get(ctx context.Context, k store.Key) (store.Record, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	r, ok := t.live(k)
	if !ok {
		return store.Record{}, store.ErrNotFound
	}
	r.Value = slices.Clone(r.Value)
	return r, nil
}

// Create implements store.Store.
func (t *table) Create(ctx context.Context, r store.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if old, ok := t.live(r.Key); ok && old.Version != r.Version {
		return store.ErrExists
	}
	t.records[r.Key] = r
	return nil
}

// Update implements store.Store.
func (t *table) Update(ctx context.Context, r store.Record, prev store.Version) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	old, ok := t.live(r.Key)
	switch {
	case !ok:
		return store.ErrNotFound
	case old.Version != prev && old.Version != r.Version:
		return store.ErrConflict
	}
	t.records[r.Key] = r
	return nil
}

// Delete implements store.Store.
func (t *table) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	old, ok := t.live(k)
	if ok && prev != (store.Version{}) && old.Version != prev {
		return store.ErrConflict
	}
	delete(t.records, k)
	return nil
}

// List implements store.Store.
func (t *table) List(ctx context.Context, q store.Query) (store.Page, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return store.Page{}, err
	}
	limit := q.Limit
	if limit <= 0 || limit > store.MaxLimit {
		limit = store.MaxLimit
	}
	var found []store.Record
	for k, r := range t.records {
		_, ok := t.live(k)
		none := store.Index{}
		if ok && k.Site == q.Site && k.Kind == q.Kind && k.ID > q.After &&
			(q.Person == none || q.Person == r.Person) && (q.Client == none || q.Client == r.Client) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b store.Record) int { return strings.Compare(a.ID, b.ID) })
	if len(found) <= limit {
		return store.Page{Records: found}, nil
	}
	return store.Page{Records: found[:limit], Next: found[limit-1].ID}, nil
}

// Sweep implements store.Store.
func (t *table) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n := 0
	for k, r := range t.records {
		if n < limit && !r.Expires.After(before) {
			delete(t.records, k)
			n++
		}
	}
	return n, nil
}

// Close implements store.Store.
func (t *table) Close() error { return nil }
