// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"net"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
)

// MoveSlot moves the slot of a key to the next node of a cluster, as resharding does: the
// slot is open while its keys move one by one, and then belongs to the other node.
func MoveSlot(t testing.TB, nodes []*Server, key string) {
	t.Helper()
	ctx := t.Context()
	clients := make([]*redis.Client, len(nodes))
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		clients[i] = n.Client(t)
		id, err := clients[i].Do(ctx, "CLUSTER", "MYID").Text()
		check(t, err)
		ids[i] = id
	}
	slot, err := clients[0].ClusterKeySlot(ctx, key).Result()
	check(t, err)
	from := owner(t, clients, ids, slot)
	to := (from + 1) % len(nodes)
	check(t, clients[to].Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from]).Err())
	check(t, clients[from].Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]).Err())
	host, port, _ := net.SplitHostPort(nodes[to].Addr)
	for {
		keys, err := clients[from].ClusterGetKeysInSlot(ctx, int(slot), 1).Result()
		check(t, err)
		if len(keys) == 0 {
			break
		}
		check(t, clients[from].Migrate(ctx, host, port, keys[0], 0, patience).Err())
	}
	for _, i := range []int{to, from} {
		check(t, clients[i].Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", ids[to]).Err())
	}
}

// owner is the node that has a slot.
func owner(t testing.TB, clients []*redis.Client, ids []string, slot int64) int {
	t.Helper()
	shards, err := clients[0].ClusterShards(t.Context()).Result()
	check(t, err)
	for _, shard := range shards {
		for _, r := range shard.Slots {
			if r.Start <= slot && slot <= r.End {
				return slices.Index(ids, shard.Nodes[0].ID)
			}
		}
	}
	t.Fatalf("slot %d has no node", slot)
	return 0
}
