// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// The table has four sorts of entities:
//
//	r_<site>_<kind>_<2 digits of id>   <id>                             a record
//	p_<site>_<kind>_<person>           <id>                             an index entry
//	c_<site>_<kind>_<client>           <id>                             an index entry
//	x_<1 digit of id>                  <expires>_<site>_<kind>_<id>     a note: look at this record then
//
// and the lease of who sweeps. One partition serves some 2,000 requests a second, so the
// records of a kind lie in 256 of them by the beginning of their ids, which are hashes.
const (
	shards = "0123456789abcdef"

	leasePartition = "lease"
	leaseRow       = "sweep"
)

func recordPartition(site string, kind store.Kind, id string) string {
	return "r_" + site + "_" + string(kind) + "_" + id[:min(2, len(id))]
}

func personPartition(site string, kind store.Kind, person store.Index) string {
	return "p_" + site + "_" + string(kind) + "_" + hex.EncodeToString(person[:])
}

func clientPartition(site string, kind store.Kind, client store.Index) string {
	return "c_" + site + "_" + string(kind) + "_" + hex.EncodeToString(client[:])
}

// indexPartitions are where a record is listed.
func indexPartitions(k store.Key, person, client store.Index) []string {
	var all []string
	if person != (store.Index{}) {
		all = append(all, personPartition(k.Site, k.Kind, person))
	}
	if client != (store.Index{}) {
		all = append(all, clientPartition(k.Site, k.Kind, client))
	}
	return all
}

func notePartition(shard string) string { return "x_" + shard }

// noteRow sorts by time: instants before 1970 would sort last, and count as 1970.
func noteRow(k store.Key, at time.Time) string {
	return fmt.Sprintf("%016x_%s_%s_%s", max(0, at.Unix()), k.Site, k.Kind, k.ID)
}

// splitNote returns the key that noteRow wrote.
func splitNote(row string) (store.Key, error) {
	parts := strings.Split(row, "_")
	if len(parts) != 4 {
		return store.Key{}, errDamaged
	}
	k := store.Key{Site: parts[1], Kind: store.Kind(parts[2]), ID: parts[3]}
	if azure.CheckStoreKey(k) != nil {
		return store.Key{}, errDamaged
	}
	return k, nil
}
