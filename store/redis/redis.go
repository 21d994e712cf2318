// SPDX-License-Identifier: Apache-2.0

// Package redis is a store in a Redis server, a Sentinel group or a Cluster, for any
// number of nodes. It needs Redis 6.0.
//
// Everything that must happen once is one script on one key. Indexes are keys of their
// own, written before the record, so that a listing never misses a live one.
package redis

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// garbageAfter is how long after its end Redis itself removes what no Sweep removed,
// because no node runs any more. Sweep comes 10 minutes after the end.
const garbageAfter = time.Hour

// watched are the kinds whose changes other nodes are told about.
var watched = []store.Kind{"grant", "keyring"}

var errClosed = errors.New("the store is closed")

// Store implements store.Store.
type Store struct {
	client redis.UniversalClient
	prefix string
	now    func() time.Time
	// node names this handle in what it publishes.
	node   string
	closed atomic.Bool
	// ending ends watches.
	ending context.Context
	end    context.CancelFunc
}

// Get implements store.Store. A record that is there costs one round trip. That one is
// absent is asked twice: a bare "nothing" names no key and could be the answer to
// something else, and it would log somebody out.
func (s *Store) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if err := s.usable(ctx, k); err != nil {
		return store.Record{}, err
	}
	raw, err := s.client.Get(ctx, s.recordKey(k)).Bytes()
	if errors.Is(err, redis.Nil) {
		raw, err = s.look(ctx, k)
		if err == nil && len(raw) == 0 {
			return store.Record{}, store.ErrNotFound
		}
	}
	if err != nil {
		return store.Record{}, explain(err)
	}
	r, _, err := decode(k, raw)
	if err != nil {
		return store.Record{}, err
	}
	if !alive(r.Expires, s.now()) {
		return store.Record{}, store.ErrNotFound
	}
	return r, nil
}

// look returns the stored record, or nothing.
func (s *Store) look(ctx context.Context, k store.Key) ([]byte, error) {
	name := digestOf(k)
	text, err := s.run(ctx, call{script: lookScript, key: s.recordKey(k), args: []any{name[:]}})
	if err != nil {
		return nil, err
	}
	if len(text) < len(name) || text[:len(name)] != string(name[:]) {
		return nil, errWrongReply
	}
	return []byte(text[len(name):]), nil
}

// Create implements store.Store: the index entries first, then the record.
func (s *Store) Create(ctx context.Context, r store.Record) error {
	if err := s.writable(ctx, r); err != nil {
		return err
	}
	h := head{expires: r.Expires, birth: birthOf(r), person: r.Person, client: r.Client}
	kept := s.keep(r.Expires)
	if err := s.addEntries(ctx, r.Key, h, kept); err != nil {
		return err
	}
	channel, message := s.notice(r.Key)
	what, old, err := s.change(ctx, createScript, r.Key, r.Version,
		s.now().Unix(), s.ttl(r.Expires), r.Version[:], encode(r, kept), channel, message)
	switch {
	case err != nil:
		return err
	case what == letterSame:
		return nil
	case what == letterExists:
		return store.ErrExists
	case what != letterDone:
		return errWrongReply
	}
	if old != nil && old.birth != h.birth {
		// A dead record was replaced; its entries are garbage, which is not worth a failure.
		_ = s.dropEntries(ctx, r.Key, *old)
	}
	return nil
}

// Update implements store.Store. Where the record would outlive its index entries, they
// are kept longer first.
func (s *Store) Update(ctx context.Context, r store.Record, prev store.Version) error {
	if err := s.writable(ctx, r); err != nil {
		return err
	}
	what, old, err := s.update(ctx, r, prev, nil)
	if err == nil && what == letterKeep && old != nil {
		kept := s.keep(r.Expires)
		if err := s.addEntries(ctx, r.Key, *old, kept); err != nil {
			return err
		}
		what, old, err = s.update(ctx, r, prev, bytesOf(kept))
	}
	switch {
	case err != nil:
		return err
	case what == letterSame:
		return nil
	case what == letterAbsent:
		return store.ErrNotFound
	case what == letterConflict:
		return store.ErrConflict
	case what != letterDone || old == nil:
		return errWrongReply
	}
	if r.Expires.Before(old.expires) {
		// An extension is noticed by the sweep when it comes; it would not look early.
		_ = s.reschedule(ctx, r.Key, *old, r.Expires)
	}
	return nil
}

func (s *Store) update(ctx context.Context, r store.Record, prev store.Version, kept []byte) (letter, *head, error) {
	channel, message := s.notice(r.Key)
	return s.change(ctx, updateScript, r.Key, r.Version,
		s.now().Unix(), s.ttl(r.Expires), r.Version[:], prev[:], bytesOf(r.Expires), kept, r.Value, channel, message)
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	if err := s.usable(ctx, k); err != nil {
		return err
	}
	var condition []byte
	if prev != (store.Version{}) {
		condition = prev[:]
	}
	channel, message := s.notice(k)
	what, old, err := s.change(ctx, deleteScript, k, prev, s.now().Unix(), condition, channel, message)
	switch {
	case err != nil:
		return err
	case what == letterAbsent:
		return nil
	case what == letterConflict:
		return store.ErrConflict
	case what != letterDone || old == nil:
		return errWrongReply
	}
	_ = s.dropEntries(ctx, k, *old)
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.end()
	return s.client.Close()
}

// letter is what a script says that it did.
type letter byte

const (
	letterDone     letter = 'd'
	letterSame     letter = 's' // this very write was done before
	letterExists   letter = 'e'
	letterAbsent   letter = 'a'
	letterConflict letter = 'c'
	letterKeep     letter = 'k' // index entries have to be kept longer first
	letterNewer    letter = 'n'
)

// change runs a script that changes a record, and returns what it did and the head of the
// record that it found.
func (s *Store) change(ctx context.Context, script *redis.Script, k store.Key, v store.Version, args ...any) (letter, *head, error) {
	name := nameOf(k, v)
	text, err := s.run(ctx, call{script: script, key: s.recordKey(k), args: slices.Concat([]any{name}, args)})
	if err != nil {
		return 0, nil, err
	}
	return parseAnswer(k, name, text)
}

// nameOf names a call by its key and version.
func nameOf(k store.Key, v store.Version) []byte {
	digest := digestOf(k)
	return append(digest[:], v[:]...)
}

func parseAnswer(k store.Key, name []byte, text string) (letter, *head, error) {
	if len(text) <= len(name) || text[:len(name)] != string(name) {
		return 0, nil, errWrongReply
	}
	what, raw := letter(text[len(name)]), text[len(name)+1:]
	if what == letterNewer {
		return what, nil, errNewer
	}
	if raw == "" {
		return what, nil, nil
	}
	h, err := decodeHead(k, []byte(raw))
	if err != nil {
		return what, nil, err
	}
	return what, &h, nil
}

// keep is until when to keep the index entries of a record that expires then: as long
// again as it has to live, so that an extension seldom has to touch them.
func (s *Store) keep(expires time.Time) time.Time {
	return expires.Add(max(0, expires.Sub(s.now())))
}

// ttl is how many milliseconds from now Redis removes something by itself. It is a
// distance and not an instant, so that a server whose clock is wrong removes nothing
// early. It is never zero.
func (s *Store) ttl(expires time.Time) int64 {
	return (max(0, expires.Sub(s.now())) + garbageAfter).Milliseconds()
}

func (s *Store) usable(ctx context.Context, k store.Key) error {
	if s.closed.Load() {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return checkKey(k)
}

func (s *Store) writable(ctx context.Context, r store.Record) error {
	if len(r.Value) > store.MaxValue {
		return store.ErrTooLarge
	}
	return s.usable(ctx, r.Key)
}

// Interface guards.
var (
	_ store.Store   = (*Store)(nil)
	_ store.Watcher = (*Store)(nil)
	_ store.Pinger  = (*Store)(nil)
	_ store.Durable = (*Store)(nil)
)
