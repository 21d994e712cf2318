// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

const (
	// coldAfter is a little less than guard_cache, after which the guard asks the store
	// again. A measurement must end before.
	coldAfter = 28 * time.Second
	// warmWithin is how long the last round over all tokens may have taken, so that the
	// first of them is still warm at its end.
	warmWithin = 8 * time.Second
)

// warm uses every token of the load once, until the guard has all of them in its cache.
// Systems that keep nothing are treated alike. d is how long the measurement takes.
func (s *system) warm(ctx context.Context, d time.Duration) error {
	if clock.System().Sub(s.warmed) < coldAfter-d {
		return nil
	}
	used := s.tokens[:1]
	if s.many {
		used = s.tokens
	}
	for {
		began := clock.System()
		if err := s.useAll(ctx, used); err != nil {
			return fmt.Errorf("warming %s: %w", s.name, err)
		}
		if clock.System().Sub(began) < warmWithin {
			s.warmed = began
			return nil
		}
	}
}

func (s *system) useAll(ctx context.Context, tokens []string) error {
	const workers = 16
	var work errgroup.Group
	var next atomic.Int64
	for range min(workers, len(tokens)) {
		work.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(tokens) {
					return nil
				}
				status, body, err := s.post(ctx, tokens[i])
				if err != nil {
					return err
				}
				if status != http.StatusOK {
					return fmt.Errorf("status %d: %s", status, body)
				}
			}
		})
	}
	return work.Wait()
}
