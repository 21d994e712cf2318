// SPDX-License-Identifier: Apache-2.0

package faulty

import (
	"context"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, k store.Key) (r store.Record, err error) {
	err = s.do(ctx, Get, k.Kind,
		func(ctx context.Context) (err error) { r, err = s.inner.Get(ctx, k); return err },
		func() { r = wrongRecord(k) })
	return r, err
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, r store.Record) error {
	return s.do(ctx, Create, r.Kind, func(ctx context.Context) error { return s.inner.Create(ctx, r) }, nil)
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, r store.Record, prev store.Version) error {
	return s.do(ctx, Update, r.Kind, func(ctx context.Context) error { return s.inner.Update(ctx, r, prev) }, nil)
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	return s.do(ctx, Delete, k.Kind, func(ctx context.Context) error { return s.inner.Delete(ctx, k, prev) }, nil)
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) (p store.Page, err error) {
	err = s.do(ctx, List, q.Kind,
		func(ctx context.Context) (err error) { p, err = s.inner.List(ctx, q); return err },
		func() {
			p.Records = []store.Record{wrongRecord(store.Key{Site: q.Site, Kind: q.Kind + "-other", ID: "f"})}
		})
	return p, err
}

// Sweep implements store.Store.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = s.do(ctx, Sweep, "",
		func(ctx context.Context) (err error) { n, err = s.inner.Sweep(ctx, before, limit); return err }, nil)
	return n, err
}

// Close implements store.Store. It has no faults.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.inner.Close()
}

// Interface guard.
var _ store.Store = (*Store)(nil)
