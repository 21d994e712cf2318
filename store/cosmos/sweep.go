// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
	"golang.org/x/sync/errgroup"
)

const (
	// parallel is how many items are removed at once.
	parallel = 16
	// reserve is how much of the time for a sweep is kept for the request that is under
	// way when the rest is over.
	reserve = 300 * time.Millisecond
)

// errEnough ends a query.
var errEnough = errors.New("enough")

// Sweep implements store.Store. The service removes most records by itself, by their time
// to live; what it left, in a container without that, is removed here. It ends with what
// it has removed when the time of ctx is nearly over: the next sweep goes on.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	select {
	case s.sweeping <- struct{}{}:
		defer func() { <-s.sweeping }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if s.closed.Load() {
		return 0, errClosed
	}
	if limit <= 0 {
		return 0, nil
	}
	within := ctx
	if deadline, has := ctx.Deadline(); has {
		var cancel context.CancelFunc
		within, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
	}
	sweep := &sweep{Store: s, limit: limit}
	parameters := []azcosmos.QueryParameter{{Name: "@before", Value: before.Unix()}}
	err := s.query(within, byExpiry, parameters, func(page [][]byte) error { return sweep.page(within, page) })
	if errors.Is(err, errEnough) || err != nil && within.Err() != nil && ctx.Err() == nil {
		err = nil
	}
	return int(sweep.removed.Load()), err
}

// sweep is one run of Sweep.
type sweep struct {
	*Store
	limit   int
	removed atomic.Int64
}

// room is how many more records may be removed.
func (s *sweep) room() int { return s.limit - int(s.removed.Load()) }

// page removes the items of a page as they were seen. An item that cannot be read stays
// as it is: it may be one of a newer version.
func (s *sweep) page(ctx context.Context, page [][]byte) error {
	for s.room() > 0 && len(page) > 0 {
		n := min(parallel, s.room(), len(page))
		group, ctx := errgroup.WithContext(ctx)
		for _, raw := range page[:n] {
			old, err := unmarshal(raw)
			if err != nil || old.etag == "" {
				continue
			}
			group.Go(func() error {
				done, err := s.remove(ctx, old.Key, old.etag)
				if done {
					s.removed.Add(1)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		page = page[n:]
	}
	if s.room() <= 0 {
		return errEnough
	}
	return nil
}
