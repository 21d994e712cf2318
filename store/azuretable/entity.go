// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// errDamaged is unknown: somebody else wrote into the table, or a version to come.
var errDamaged = errors.New("damaged entity in the table")

const (
	edmBinary = "Edm.Binary"
	edmInt64  = "Edm.Int64"
)

// entity is a row of the table in the service's JSON. MUST a property be at most 64 KiB
// and an entity at most 1 MiB (Understanding the Table service data model): the largest
// value of a record is 48 KiB, as binary, so one property holds it. Binary is base64 on
// the wire and bytes in the table; as text it would count twice.
type entity struct {
	PartitionKey string
	RowKey       string
	ETag         string `json:"odata.etag,omitempty"`

	// Of a record.
	Version     []byte `json:",omitempty"`
	VersionType string `json:"Version@odata.type,omitempty"`
	Value       []byte `json:",omitempty"`
	ValueType   string `json:"Value@odata.type,omitempty"`
	Expires     *int64 `json:",string,omitempty"`
	ExpiresType string `json:"Expires@odata.type,omitempty"`

	// Of a record and of a note about its expiry.
	Person     []byte `json:",omitempty"`
	PersonType string `json:"Person@odata.type,omitempty"`
	Client     []byte `json:",omitempty"`
	ClientType string `json:"Client@odata.type,omitempty"`

	// Of an index entry: when it was written last, and of a lease: when it ends. Unix
	// seconds.
	Time     *int64 `json:",string,omitempty"`
	TimeType string `json:"Time@odata.type,omitempty"`

	// Of a lease: who has it.
	Owner string `json:",omitempty"`
}

func (e *entity) setTime(t time.Time) {
	at := t.Unix()
	e.Time, e.TimeType = &at, edmInt64
}

// time is that of an index entry or lease; the zero time, long ago, where it has none.
func (e entity) time() time.Time {
	if e.Time == nil {
		return time.Time{}
	}
	return time.Unix(*e.Time, 0).UTC()
}

func (e *entity) setIndexes(person, client store.Index) {
	if person != (store.Index{}) {
		e.Person, e.PersonType = person[:], edmBinary
	}
	if client != (store.Index{}) {
		e.Client, e.ClientType = client[:], edmBinary
	}
}

// indexes reads what setIndexes wrote.
func (e entity) indexes() (person, client store.Index, err error) {
	if !fill(person[:], e.Person) || !fill(client[:], e.Client) {
		err = errDamaged
	}
	return person, client, err
}

// fill copies a value of exactly the right length, or none.
func fill(to, from []byte) bool {
	return len(from) == 0 || copy(to, from) == len(from) && len(from) == len(to)
}

// found is a record as it is in the table.
type found struct {
	store.Record
	etag azcore.ETag
}

func recordEntity(r store.Record) entity {
	at := r.Expires.Unix()
	e := entity{
		PartitionKey: recordPartition(r.Site, r.Kind, r.ID), RowKey: r.ID,
		Version: r.Version[:], VersionType: edmBinary,
		Expires: &at, ExpiresType: edmInt64,
	}
	// An empty value is none, and comes back as none.
	if len(r.Value) > 0 {
		e.Value, e.ValueType = r.Value, edmBinary
	}
	e.setIndexes(r.Person, r.Client)
	return e
}

// record reads what recordEntity wrote.
func (e entity) record(site string, kind store.Kind) (store.Record, error) {
	r := store.Record{Key: store.Key{Site: site, Kind: kind, ID: e.RowKey}, Value: e.Value}
	if e.PartitionKey != recordPartition(site, kind, e.RowKey) || e.Expires == nil ||
		len(e.Version) != len(r.Version) {
		return store.Record{}, errDamaged
	}
	copy(r.Version[:], e.Version)
	r.Expires = time.Unix(*e.Expires, 0).UTC()
	var err error
	r.Person, r.Client, err = e.indexes()
	return r, err
}

func (e entity) marshal() []byte {
	// Strings, bytes and numbers always become JSON.
	raw, _ := json.Marshal(e)
	return raw
}

func unmarshal(raw []byte) (entity, error) {
	var e entity
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, fmt.Errorf("%w: it is not of the types that were written", errDamaged)
	}
	return e, nil
}
