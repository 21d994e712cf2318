// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Ping implements store.Pinger.
func (s *Store) Ping(ctx context.Context) (time.Time, error) {
	if s.closed.Load() {
		return time.Time{}, errClosed
	}
	t, err := s.client.Time(ctx).Result()
	return t.UTC(), explain(err)
}

// Loss implements store.Durable.
func (*Store) Loss() string {
	return "A failover of Redis loses the writes that no replica had received, usually those of the last second; " +
		"a crash loses those that were not on the disk, with appendonly yes those of the last second, without it all since the last snapshot."
}

// layoutKey tells which version of the layout is in use, so that an older node stops at
// the door and not at the first record.
func (s *Store) layoutKey() string { return s.prefix + "layout" }

// checkLayout also finds out whether the server lets us read and write at all.
func (s *Store) checkLayout(ctx context.Context) error {
	layout := strconv.Itoa(recordFormat)
	if err := s.client.SetNX(ctx, s.layoutKey(), layout, 0).Err(); err != nil {
		return explain(err)
	}
	got, err := s.client.Get(ctx, s.layoutKey()).Result()
	if err != nil {
		return explain(err)
	}
	if n, err := strconv.Atoi(got); err != nil || n > recordFormat {
		return fmt.Errorf("%w (%s is %q, this version knows up to %s)", errNewer, s.layoutKey(), got, layout)
	}
	return nil
}

// warnOfEviction looks whether the server may throw records away when its memory is full.
func (s *Store) warnOfEviction(ctx context.Context, log *slog.Logger, identity string) {
	policy := s.evictionPolicy(ctx)
	if log == nil || policy == "noeviction" {
		return
	}
	if policy == "" {
		log.WarnContext(ctx, "whether Redis throws sign-ins away when its memory is full could not be found out; "+
			"make sure that its maxmemory-policy is noeviction", "store", identity)
		return
	}
	log.WarnContext(ctx, "Redis throws sign-ins away when its memory is full; set its maxmemory-policy to noeviction",
		"store", identity, "maxmemory_policy", policy)
}

// evictionPolicy asks in the two ways that there are: services often forbid the first.
func (s *Store) evictionPolicy(ctx context.Context) string {
	const name = "maxmemory-policy"
	if got, err := s.client.ConfigGet(ctx, name).Result(); err == nil && got[name] != "" {
		return got[name]
	}
	info, err := s.client.Info(ctx, "memory").Result()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(info) {
		if policy, found := strings.CutPrefix(line, "maxmemory_policy:"); found {
			return strings.TrimSpace(policy)
		}
	}
	return ""
}
