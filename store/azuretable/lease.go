// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"context"
	"errors"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// leaseTime is how long one node sweeps after it was the last to renew the lease. Each
// node sweeps once a minute, so the owner renews it in time. If two nodes believe to own
// it, as their clocks differ, both sweep: that costs requests and harms nothing.
const leaseTime = 3 * time.Minute

// lease is what this handle knows about the lease of the sweep: until when it has it.
type lease struct{ until time.Time }

// acquire takes or renews the lease, and tells whether this handle has it. A lease whose
// first half is not over is not renewed.
func (s *Store) acquire(ctx context.Context, l *lease) (mine bool, err error) {
	now := s.env.Now()
	if l.until.Sub(now) > leaseTime/2 {
		return true, nil
	}
	*l = lease{}
	renewed := entity{PartitionKey: leasePartition, RowKey: leaseRow, Owner: s.owner}
	renewed.setTime(now.Add(leaseTime))
	theirs, etag, err := s.get(ctx, leasePartition, leaseRow)
	switch {
	case errors.Is(err, store.ErrNotFound):
		_, err := s.table.AddEntity(ctx, renewed.marshal(), nil)
		if taken(err) {
			return false, nil
		}
		if err != nil {
			return false, s.failure(err)
		}
		l.until = renewed.time()
		return true, nil
	case err != nil:
		return false, err
	case theirs.Owner != s.owner && now.Before(theirs.time()):
		return false, nil
	}
	done, err := s.replaceEntity(ctx, renewed, etag)
	if done {
		l.until = renewed.time()
	}
	return done, err
}

// giveBack removes the lease if this handle has it. If that fails it ends by itself.
func (s *Store) giveBack(ctx context.Context, l lease) {
	if !s.env.Now().Before(l.until) {
		return
	}
	if e, etag, err := s.get(ctx, leasePartition, leaseRow); err == nil && e.Owner == s.owner {
		_, _ = s.remove(ctx, leasePartition, leaseRow, etag)
	}
}
