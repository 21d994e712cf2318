// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// An index is a sorted set. Those of a kind, a person or a client are ordered by their
// entries, which begin with the id; the one of expiries is ordered by time.
//
// An entry is written before its record and removed after it, and it belongs to one
// Create alone: whoever finds an entry without its record may remove it once that Create
// can no longer be under way, and never hurts a record that was created again.

// entry is a record in an index: which one, and which Create made it.
type entry struct {
	id    string
	birth birth
}

// orphanAfter is how long after the end of a record that is not there its index entries
// may be removed. No write is under way that long.
const orphanAfter = 10 * time.Minute

// orphaned tells whether the entry is garbage when there is no record to it.
func (e entry) orphaned(now time.Time) bool {
	return !now.Before(e.birth.expires().Add(orphanAfter))
}

// String is the entry in the set of its kind, person or client: the id in few bytes, its
// number of digits, the birth. Entries sort as their ids do.
func (e entry) String() string { return pack(e.id) + string(e.birth[:]) }

func pack(id string) string {
	even := id
	if len(id)%2 == 1 {
		even += "0"
	}
	raw, _ := hex.DecodeString(even) // checkKey has seen it
	return string(raw) + string([]byte{byte(len(id))})
}

// behind is greater than every entry with the id and smaller than those of later ones.
func behind(id string) string { return pack(id) + strings.Repeat("\xff", birthSize+1) }

var errDamagedIndex = errors.New("an index has an entry that this module cannot have written: something else uses these keys, give it another prefix")

func parseEntry(raw string) (e entry, err error) {
	cut := len(raw) - birthSize
	if cut < 2 {
		return e, errDamagedIndex
	}
	packed, digits := raw[:cut-1], int(raw[cut-1])
	if (digits+1)/2 != len(packed) {
		return e, errDamagedIndex
	}
	e.id = hex.EncodeToString([]byte(packed))[:digits]
	copy(e.birth[:], raw[cut:])
	return e, nil
}

// expiring is the entry in the set of expiries, which all sites and kinds share.
func (e entry) expiring(site string, kind store.Kind) string {
	return site + ":" + string(kind) + ":" + e.String()
}

func parseExpiring(raw string) (k store.Key, e entry, err error) {
	parts := strings.SplitN(raw, ":", 3)
	if len(parts) < 3 {
		return k, e, errDamagedIndex
	}
	e, err = parseEntry(parts[2])
	return store.Key{Site: parts[0], Kind: store.Kind(parts[1]), ID: e.id}, e, err
}

// The keys of this store. Records and indexes are spread over a cluster.
func (s *Store) recordKey(k store.Key) string { return s.prefix + "r:" + keyText(k) }
func (s *Store) expiryKey() string            { return s.prefix + "expiry" }
func (s *Store) channel() string              { return s.prefix + "changes" }

func (s *Store) kindKey(site string, kind store.Kind) string {
	return fmt.Sprintf("%si:%s:%s", s.prefix, site, kind)
}

func (s *Store) personKey(site string, kind store.Kind, x store.Index) string {
	return fmt.Sprintf("%sp:%s:%s:%s", s.prefix, site, kind, base64.RawURLEncoding.EncodeToString(x[:]))
}

func (s *Store) clientKey(site string, kind store.Kind, x store.Index) string {
	return fmt.Sprintf("%sc:%s:%s:%s", s.prefix, site, kind, base64.RawURLEncoding.EncodeToString(x[:]))
}

// listKeys are the sets that a record is listed in.
func (s *Store) listKeys(k store.Key, person, client store.Index) []string {
	keys := []string{s.kindKey(k.Site, k.Kind)}
	if person != (store.Index{}) {
		keys = append(keys, s.personKey(k.Site, k.Kind, person))
	}
	if client != (store.Index{}) {
		keys = append(keys, s.clientKey(k.Site, k.Kind, client))
	}
	return keys
}

// addEntries writes the index entries of a record and keeps the sets until then.
func (s *Store) addEntries(ctx context.Context, k store.Key, h head, kept time.Time) error {
	e, ttl := entry{id: k.ID, birth: h.birth}, s.ttl(kept)
	calls := []call{{script: indexScript, key: s.expiryKey(), args: []any{e.expiring(k.Site, k.Kind), seconds(h.expires), ttl}}}
	for _, key := range s.listKeys(k, h.person, h.client) {
		calls = append(calls, call{script: indexScript, key: key, args: []any{e.String(), 0, ttl}})
	}
	_, err := s.runAll(ctx, calls)
	return err
}

// reschedule tells the sweep when a record expires.
func (s *Store) reschedule(ctx context.Context, k store.Key, h head, expires time.Time) error {
	e := entry{id: k.ID, birth: h.birth}
	_, err := s.run(ctx, call{script: indexScript, key: s.expiryKey(), args: []any{e.expiring(k.Site, k.Kind), seconds(expires), s.ttl(expires)}})
	return err
}

// dropEntries removes the index entries of a record that is gone. What stays after a
// failure is removed by List and Sweep.
func (s *Store) dropEntries(ctx context.Context, k store.Key, h head) error {
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		s.queueDrop(ctx, p, k, h)
		return nil
	})
	return explain(err)
}

func (s *Store) queueDrop(ctx context.Context, p redis.Pipeliner, k store.Key, h head) {
	e := entry{id: k.ID, birth: h.birth}
	for _, key := range s.listKeys(k, h.person, h.client) {
		p.ZRem(ctx, key, e.String())
	}
	p.ZRem(ctx, s.expiryKey(), e.expiring(k.Site, k.Kind))
}
