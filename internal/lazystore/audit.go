// SPDX-License-Identifier: Apache-2.0

package lazystore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// errNoAudit is the answer for a store that keeps no audit trail.
var errNoAudit = fmt.Errorf("the store keeps no audit trail: %w", errors.ErrUnsupported)

// audit asks the store's audit trail once. That there is none says nothing bad about the
// store.
func audit[T any](ctx context.Context, s *Store, fn func(context.Context, store.Auditor) (T, error)) (T, error) {
	var none T
	unsupported := false
	value, err := call(ctx, s, func(ctx context.Context, inner store.Store) (T, error) {
		a, ok := inner.(store.Auditor)
		if !ok {
			unsupported = true
			return none, nil
		}
		value, err := fn(ctx, a)
		if errors.Is(err, errors.ErrUnsupported) {
			unsupported = true
			return none, nil
		}
		return value, err
	})
	if err == nil && unsupported {
		return none, s.named(errNoAudit)
	}
	return value, err
}

// Append implements store.Auditor.
func (s *Store) Append(ctx context.Context, entries []store.AuditEntry) error {
	_, err := audit(ctx, s, func(ctx context.Context, a store.Auditor) (struct{}, error) {
		return struct{}{}, a.Append(ctx, entries)
	})
	return err
}

// Find implements store.Auditor.
func (s *Store) Find(ctx context.Context, q store.AuditQuery) ([]store.AuditEntry, error) {
	return audit(ctx, s, func(ctx context.Context, a store.Auditor) ([]store.AuditEntry, error) {
		return a.Find(ctx, q)
	})
}

// Prune implements store.Auditor.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	return audit(ctx, s, func(ctx context.Context, a store.Auditor) (int, error) {
		return a.Prune(ctx, before, limit)
	})
}
