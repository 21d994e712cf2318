// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Sweep implements store.Store. Several nodes may sweep at once.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if s.closed.Load() {
		return 0, errClosed
	}
	removed, skip := 0, make(map[string]bool)
	for removed < limit {
		raw, err := s.client.ZRangeByScore(ctx, s.expiryKey(), &redis.ZRangeBy{
			Min: "-inf", Max: strconv.FormatUint(seconds(before), 10), Count: int64(chunk + len(skip)),
		}).Result()
		if err != nil {
			return removed, explain(err)
		}
		raw = slices.DeleteFunc(raw, func(text string) bool { return skip[text] })
		if len(raw) == 0 {
			return removed, nil
		}
		b := &batch{s: s, before: before, limit: limit - removed, skip: skip}
		if err := b.sort(ctx, raw); err != nil {
			return removed, err
		}
		n, err := b.remove(ctx)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// batch is some entries of the index of expiries, sorted by what has to be done.
type batch struct {
	s      *Store
	before time.Time
	limit  int

	dead  []*found // to be removed with their entries
	later []*found // live longer than their entry says
	// orphans have no record.
	orphans []store.Key
	births  []birth
	// skip are entries whose record may be about to be written, or was just removed by
	// another node, which then removes the entry.
	skip map[string]bool
}

func (b *batch) sort(ctx context.Context, raw []string) error {
	keys, entries := make([]store.Key, len(raw)), make([]entry, len(raw))
	for i, text := range raw {
		var err error
		if keys[i], entries[i], err = parseExpiring(text); err != nil {
			return err
		}
	}
	records, err := b.s.getAll(ctx, keys)
	if err != nil {
		return err
	}
	for i, got := range records {
		switch {
		case got == nil || got.head.birth != entries[i].birth:
			if !entries[i].orphaned(b.s.now()) {
				b.skip[raw[i]] = true
				continue
			}
			b.orphans = append(b.orphans, keys[i])
			b.births = append(b.births, entries[i].birth)
		case got.record.Expires.After(b.before):
			b.later = append(b.later, got)
		case len(b.dead) < b.limit:
			b.dead = append(b.dead, got)
		}
	}
	return nil
}

// remove removes what is dead, each record conditionally on what was seen, and returns
// how many it removed. Entries go last: who dies in between leaves an orphan.
func (b *batch) remove(ctx context.Context) (int, error) {
	var calls []call
	for _, got := range b.dead {
		// No one is told: whoever remembers an expired record knows that it is.
		calls = append(calls, call{script: deleteScript, key: b.s.recordKey(got.record.Key), args: []any{
			nameOf(got.record.Key, got.record.Version), seconds(b.before), got.record.Version[:], "", "",
		}})
	}
	answers, failure := b.s.runAll(ctx, calls)
	removed := 0
	p := b.s.client.Pipeline()
	for i, got := range b.dead {
		what, _, err := parseAnswer(got.record.Key, nameOf(got.record.Key, got.record.Version), answers[i])
		if err != nil {
			failure = cmp.Or(failure, err)
			continue
		}
		if what == letterDone {
			removed++
		}
		if what != letterConflict {
			b.s.queueDrop(ctx, p, got.record.Key, got.head)
		}
	}
	for i, k := range b.orphans {
		b.s.queueDrop(ctx, p, k, head{birth: b.births[i]})
	}
	for _, got := range b.later {
		e := entry{id: got.record.ID, birth: got.head.birth}
		p.ZAdd(ctx, b.s.expiryKey(), redis.Z{Score: float64(seconds(got.record.Expires)), Member: e.expiring(got.record.Site, got.record.Kind)})
	}
	if p.Len() > 0 && failure == nil {
		_, failure = p.Exec(ctx)
	}
	return removed, explain(failure)
}
