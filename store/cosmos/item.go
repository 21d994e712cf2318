// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// errDamaged is unknown: somebody else wrote into the container, or a version to come.
var errDamaged = errors.New("damaged item in the container")

// ttlDelay is how long after its expiry the service may remove a record. A node whose
// clock is behind may take it for alive until then.
const ttlDelay = 10 * time.Minute

// item is a record in JSON. Its id is <site>.<kind>.<id>: no character that the service
// forbids (/ \ # ?), and all records of a kind follow each other.
type item struct {
	ID      string `json:"id"`
	Version []byte `json:"version"`
	// Expires is in Unix seconds.
	Expires int64  `json:"expires"`
	Person  string `json:"person,omitempty"`
	Client  string `json:"client,omitempty"`
	Value   []byte `json:"value,omitempty"`
	// TTL is after how many seconds without a change the service removes the item by
	// itself. That is garbage collection: Expires decides.
	TTL  int32  `json:"ttl"`
	ETag string `json:"_etag,omitempty"`
}

// found is a record as it is in the container.
type found struct {
	store.Record
	etag azcore.ETag
}

const separator = "."

func itemPrefix(site string, kind store.Kind) string {
	return site + separator + string(kind) + separator
}

func itemID(k store.Key) string { return itemPrefix(k.Site, k.Kind) + k.ID }

// splitID is the inverse of itemID.
func splitID(id string) (store.Key, error) {
	parts := strings.Split(id, separator)
	if len(parts) != 3 {
		return store.Key{}, errDamaged
	}
	k := store.Key{Site: parts[0], Kind: store.Kind(parts[1]), ID: parts[2]}
	if azure.CheckStoreKey(k) != nil {
		return store.Key{}, errDamaged
	}
	return k, nil
}

func marshal(r store.Record, now time.Time) []byte {
	// MUST a ttl be a positive number that fits 32 bits: 0 is refused by the service.
	ttl := int64(r.Expires.Add(ttlDelay).Sub(now) / time.Second)
	raw, _ := json.Marshal(item{ // strings, bytes and numbers always become JSON
		ID: itemID(r.Key), Version: r.Version[:], Expires: r.Expires.Unix(),
		Person: indexText(r.Person), Client: indexText(r.Client), Value: r.Value,
		TTL: int32(min(max(1, ttl), math.MaxInt32)),
	})
	return raw
}

func unmarshal(raw []byte) (found, error) {
	var i item
	if err := json.Unmarshal(raw, &i); err != nil {
		return found{}, errDamaged
	}
	k, err := splitID(i.ID)
	if err != nil {
		return found{}, err
	}
	f := found{Record: store.Record{Key: k, Expires: time.Unix(i.Expires, 0).UTC(), Value: i.Value}, etag: azcore.ETag(i.ETag)}
	if len(i.Version) != len(f.Version) || !indexFrom(&f.Person, i.Person) || !indexFrom(&f.Client, i.Client) {
		return found{}, errDamaged
	}
	copy(f.Version[:], i.Version)
	return f, nil
}

func indexText(x store.Index) string {
	if x == (store.Index{}) {
		return ""
	}
	return hex.EncodeToString(x[:])
}

// indexFrom reads what indexText wrote.
func indexFrom(x *store.Index, text string) bool {
	if text == "" {
		return true
	}
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == len(x) && copy(x[:], raw) == len(x)
}
