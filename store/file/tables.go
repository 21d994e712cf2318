// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// The buckets of the file. A "place" is site ‖ 0x00 ‖ kind ‖ 0x00, and a record's key is
// its place followed by its id.
//
//	about    "format" → one byte, fileFormat; "own_key" → id of the key in <path>.key
//	records  place ‖ id → the record (record.go)
//	persons  place ‖ person32 ‖ id → empty
//	clients  place ‖ client32 ‖ id → empty
//	expiry   int64 unix seconds ‖ place ‖ id → empty; a hint, see hint
var (
	aboutBucket   = []byte("about")
	recordsBucket = []byte("records")
	personsBucket = []byte("persons")
	clientsBucket = []byte("clients")
	expiryBucket  = []byte("expiry")

	formatKey = []byte("format")
)

// fileFormat is the layout above. A file with a larger number was written by a newer
// version and is refused.
const fileFormat = 1

var (
	errForeign = errors.New("the file is not a store of mcp_oauth")
	errNewer   = errors.New("the file was written by a newer version of mcp_oauth")
)

// prepare makes the buckets of a new file and recognizes those of an old one.
func prepare(db *bbolt.DB) error {
	fresh := false
	err := db.View(func(tx *bbolt.Tx) error {
		if about := tx.Bucket(aboutBucket); about != nil {
			return checkFormat(about.Get(formatKey))
		}
		if first, _ := tx.Cursor().First(); first != nil {
			return errForeign
		}
		fresh = true
		return nil
	})
	if err != nil || !fresh {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{recordsBucket, personsBucket, clientsBucket, expiryBucket} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		about, err := tx.CreateBucket(aboutBucket)
		if err != nil {
			return err
		}
		return about.Put(formatKey, []byte{fileFormat})
	})
}

func checkFormat(format []byte) error {
	switch {
	case len(format) != 1 || format[0] == 0:
		return errForeign
	case format[0] > fileFormat:
		return errNewer
	}
	return nil
}

// tables are the buckets within one transaction.
type tables struct{ about, records, persons, clients, expiry *bbolt.Bucket }

func open(tx *bbolt.Tx) tables {
	return tables{
		about:   tx.Bucket(aboutBucket),
		records: tx.Bucket(recordsBucket),
		persons: tx.Bucket(personsBucket),
		clients: tx.Bucket(clientsBucket),
		expiry:  tx.Bucket(expiryBucket),
	}
}

// get returns a record, dead or alive, or store.ErrNotFound.
func (t tables) get(k store.Key) (store.Record, error) {
	raw := t.records.Get(recordKey(k))
	if raw == nil {
		return store.Record{}, store.ErrNotFound
	}
	return decode(k, raw)
}

func (t tables) create(r store.Record, now time.Time) error {
	old, err := t.get(r.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return t.put(r)
	case err != nil:
		return err
	case old.Version == r.Version:
		return nil
	case alive(old, now):
		return store.ErrExists
	}
	if err := t.remove(old); err != nil {
		return err
	}
	return t.put(r)
}

func (t tables) update(r store.Record, prev store.Version, now time.Time) error {
	old, err := t.get(r.Key)
	switch {
	case err != nil:
		return err
	case !alive(old, now):
		return store.ErrNotFound
	case old.Version == r.Version:
		return nil
	case old.Version != prev:
		return store.ErrConflict
	}
	r.Person, r.Client = old.Person, old.Client
	if r.Expires.Before(old.Expires) {
		if err := t.hint(r); err != nil {
			return err
		}
	}
	return t.records.Put(recordKey(r.Key), encode(r))
}

func (t tables) delete(k store.Key, prev store.Version, now time.Time) error {
	old, err := t.get(k)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case alive(old, now) && prev != store.Version{} && prev != old.Version:
		return store.ErrConflict
	}
	return t.remove(old)
}

// put writes a record that is not there, its index entries and its expiry hint.
func (t tables) put(r store.Record) error {
	if r.Person != (store.Index{}) {
		if err := t.persons.Put(indexKey(r.Key, r.Person), nil); err != nil {
			return err
		}
	}
	if r.Client != (store.Index{}) {
		if err := t.clients.Put(indexKey(r.Key, r.Client), nil); err != nil {
			return err
		}
	}
	if err := t.hint(r); err != nil {
		return err
	}
	return t.records.Put(recordKey(r.Key), encode(r))
}

// hint notes when the record has to be looked at again. Every record has a hint at or
// before its Expires. An extension leaves the hint where it is, so that a refresh
// changes one record and nothing else; Sweep moves it when its time has come.
func (t tables) hint(r store.Record) error {
	return t.expiry.Put(expiryKey(r), nil)
}

// remove removes a record and its index entries. An expiry hint that an extension left
// behind stays until Sweep meets it.
func (t tables) remove(r store.Record) error {
	return errors.Join(
		t.persons.Delete(indexKey(r.Key, r.Person)),
		t.clients.Delete(indexKey(r.Key, r.Client)),
		t.expiry.Delete(expiryKey(r)),
		t.records.Delete(recordKey(r.Key)),
	)
}
