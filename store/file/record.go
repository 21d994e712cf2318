// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// A record in the file, big-endian:
//
//	0x01 ‖ flags(1) ‖ expires(int64, unix seconds) ‖ version(16)
//	     ‖ person(32, if flags&1) ‖ client(32, if flags&2) ‖ value(the rest)
const (
	recordFormat = 1
	hasPerson    = 1 << 0
	hasClient    = 1 << 1
	headerSize   = 1 + 1 + 8 + 16
)

var errDamaged = errors.New("damaged record in the store file")

func encode(r store.Record) []byte {
	raw := make([]byte, 0, headerSize+len(r.Person)+len(r.Client)+len(r.Value))
	raw = append(raw, recordFormat, 0)
	raw = binary.BigEndian.AppendUint64(raw, uint64(r.Expires.Unix()))
	raw = append(raw, r.Version[:]...)
	if r.Person != (store.Index{}) {
		raw[1] |= hasPerson
		raw = append(raw, r.Person[:]...)
	}
	if r.Client != (store.Index{}) {
		raw[1] |= hasClient
		raw = append(raw, r.Client[:]...)
	}
	return append(raw, r.Value...)
}

// decode reads what encode wrote. The value is a copy: raw is memory of the file and
// ends with the transaction.
func decode(k store.Key, raw []byte) (store.Record, error) {
	if len(raw) < headerSize || raw[0] == 0 || raw[1]&^(hasPerson|hasClient) != 0 {
		return store.Record{}, errDamaged
	}
	if raw[0] != recordFormat {
		return store.Record{}, errNewer
	}
	r := store.Record{Key: k}
	r.Expires = time.Unix(int64(binary.BigEndian.Uint64(raw[2:])), 0).UTC()
	copy(r.Version[:], raw[10:])
	rest := raw[headerSize:]
	var whole bool
	if rest, whole = takeIndex(rest, raw[1]&hasPerson != 0, &r.Person); !whole {
		return store.Record{}, errDamaged
	}
	if rest, whole = takeIndex(rest, raw[1]&hasClient != 0, &r.Client); !whole {
		return store.Record{}, errDamaged
	}
	r.Value = bytes.Clone(rest)
	return r, nil
}

// takeIndex moves an index that is present from raw to x.
func takeIndex(raw []byte, present bool, x *store.Index) (rest []byte, whole bool) {
	if !present {
		return raw, true
	}
	if len(raw) < len(x) {
		return nil, false
	}
	return raw[copy(x[:], raw):], true
}

// checkKey makes sure that two keys never become one: the parts are joined by 0x00.
func checkKey(k store.Key) error {
	if k.Site == "" || k.Kind == "" || k.ID == "" ||
		strings.Contains(k.Site, "\x00") || strings.Contains(string(k.Kind), "\x00") {
		return fmt.Errorf("malformed key %q", k)
	}
	return nil
}

// place is what the keys of all records of one site and kind begin with.
func place(site string, kind store.Kind) []byte {
	return []byte(site + "\x00" + string(kind) + "\x00")
}

func recordKey(k store.Key) []byte {
	return append(place(k.Site, k.Kind), k.ID...)
}

func indexKey(k store.Key, x store.Index) []byte {
	return append(append(place(k.Site, k.Kind), x[:]...), k.ID...)
}

// expiryKey sorts by time: instants before 1970 would sort last, and count as 1970.
func expiryKey(r store.Record) []byte {
	at := binary.BigEndian.AppendUint64(nil, uint64(max(0, r.Expires.Unix())))
	return append(at, recordKey(r.Key)...)
}

// splitExpiryKey is the inverse of expiryKey.
func splitExpiryKey(raw []byte) (at time.Time, k store.Key, err error) {
	if len(raw) < 8 {
		return at, k, errDamaged
	}
	at = time.Unix(int64(binary.BigEndian.Uint64(raw)), 0).UTC()
	site, rest, found := bytes.Cut(raw[8:], []byte{0})
	kind, id, found2 := bytes.Cut(rest, []byte{0})
	if !found || !found2 {
		return at, k, errDamaged
	}
	return at, store.Key{Site: string(site), Kind: store.Kind(kind), ID: string(id)}, nil
}
