// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// A record in Redis, big-endian. The scripts know the places, counted from 1:
//
//	0x01 ‖ version(16) ‖ expires(8, unix seconds) ‖ kept(8, unix seconds) ‖ birth(16)
//	     ‖ person(32) ‖ client(32) ‖ key(16) ‖ value(the rest)
//
// kept is until when the index entries of the record are there at least. birth names the
// Create that made the record, see entry. key is a hash of the record's key, so that what
// Redis returns for one key cannot be taken for another.
const (
	recordFormat = 1
	headSize     = 1 + 16 + 8 + 8 + birthSize + 32 + 32 + 16
	birthSize    = 16
)

var (
	errNewer = errors.New("a record here was written by a newer version of this module, or by something else: " +
		"upgrade this node, or give the sites that do not belong together another prefix")
	errWrongReply = errors.New("the server answered another question than the one that was asked; what answers at this address is not a working Redis")
)

// birth is the time at which a record expired when it was created and the first half of
// the version that it was created with.
type birth [birthSize]byte

func birthOf(r store.Record) (b birth) {
	binary.BigEndian.PutUint64(b[:], seconds(r.Expires))
	copy(b[8:], r.Version[:])
	return b
}

// expires is when the record expired when it was created.
func (b birth) expires() time.Time { return instant(b[:]) }

// head is everything of a stored record but its value.
type head struct {
	version        store.Version
	expires, kept  time.Time
	birth          birth
	person, client store.Index
}

// seconds is a time as it is stored. Instants before 1970 count as 1970.
func seconds(t time.Time) uint64 { return uint64(max(0, t.Unix())) }

func instant(raw []byte) time.Time { return time.Unix(int64(binary.BigEndian.Uint64(raw)), 0).UTC() }

func bytesOf(t time.Time) []byte { return binary.BigEndian.AppendUint64(nil, seconds(t)) }

// encode is a whole record as it is created.
func encode(r store.Record, kept time.Time) []byte {
	raw := make([]byte, 0, headSize+len(r.Value))
	raw = append(raw, recordFormat)
	raw = append(raw, r.Version[:]...)
	raw = append(raw, bytesOf(r.Expires)...)
	raw = append(raw, bytesOf(kept)...)
	b, digest := birthOf(r), digestOf(r.Key)
	raw = append(raw, b[:]...)
	raw = append(raw, r.Person[:]...)
	raw = append(raw, r.Client[:]...)
	raw = append(raw, digest[:]...)
	return append(raw, r.Value...)
}

// decode reads a stored record of the key.
func decode(k store.Key, raw []byte) (store.Record, head, error) {
	h, err := decodeHead(k, raw)
	if err != nil {
		return store.Record{}, h, err
	}
	return store.Record{
		Key: k, Version: h.version, Person: h.person, Client: h.client, Expires: h.expires, Value: raw[headSize:],
	}, h, nil
}

func decodeHead(k store.Key, raw []byte) (h head, err error) {
	if len(raw) < headSize || raw[0] != recordFormat {
		return h, errNewer
	}
	if digest := digestOf(k); string(raw[headSize-len(digest):headSize]) != string(digest[:]) {
		return h, errWrongReply
	}
	h.expires, h.kept = instant(raw[17:]), instant(raw[25:])
	copy(h.version[:], raw[1:])
	copy(h.birth[:], raw[33:])
	copy(h.person[:], raw[49:])
	copy(h.client[:], raw[81:])
	return h, nil
}

// digestOf names a key in few bytes.
func digestOf(k store.Key) (d [16]byte) {
	sum := sha256.Sum256([]byte(keyText(k)))
	copy(d[:], sum[:])
	return d
}

// keyText joins the parts of a key. None of them has a colon, see checkKey.
func keyText(k store.Key) string { return k.Site + ":" + string(k.Kind) + ":" + k.ID }

// keyParts are what a key may be made of.
var keyParts = regexp.MustCompile(`^[0-9a-z_]+:[0-9a-z_]+:[0-9a-f]{1,128}$`)

func checkKey(k store.Key) error {
	if !keyParts.MatchString(keyText(k)) {
		return fmt.Errorf("malformed key %q", k)
	}
	return nil
}

func alive(expires, now time.Time) bool { return now.Before(expires) }
