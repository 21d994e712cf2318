// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
)

// Slots is the number of hash slots of a Cluster.
const Slots = 16384

// StartCluster starts a Cluster of three nodes without replicas, each with a third of the
// slots. Each node has the further lines in its configuration.
func StartCluster(t testing.TB, lines ...string) []*Server {
	t.Helper()
	nodes := make([]*Server, 3)
	for i := range nodes {
		// The second port of a node is by default its port plus 10000.
		_, bus, _ := strings.Cut(caddyrun.FreeAddr(t), ":")
		nodes[i] = Start(t, append([]string{"cluster-enabled yes", "cluster-node-timeout 2000", "cluster-port " + bus}, lines...)...)
	}
	ctx := t.Context()
	for i, n := range nodes {
		c := n.Client(t)
		check(t, c.ClusterAddSlotsRange(ctx, i*Slots/3, (i+1)*Slots/3-1).Err())
		if i > 0 {
			_, bus, _ := strings.Cut(nodes[0].config("cluster-port"), " ")
			host, port, _ := net.SplitHostPort(nodes[0].Addr)
			check(t, c.Do(ctx, "CLUSTER", "MEET", host, port, bus).Err())
		}
	}
	for _, n := range nodes {
		n.await(t, "is in a cluster that works", func(ctx context.Context, c *redis.Client) bool {
			info, err := c.ClusterInfo(ctx).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
		})
	}
	return nodes
}

// config is the line of the configuration that begins with word.
func (s *Server) config(word string) string {
	for _, line := range s.lines {
		if strings.HasPrefix(line, word+" ") {
			return line
		}
	}
	return ""
}

// Master is the name that the group of StartSentinel has.
const Master = "mymaster"

// Group is a primary with one replica, and a Sentinel that watches over them.
type Group struct {
	Primary, Replica, Sentinel *Server
}

// StartSentinel starts a Group and returns when the Sentinel knows the replica.
func StartSentinel(t testing.TB) *Group {
	t.Helper()
	primary := Start(t)
	host, port, _ := net.SplitHostPort(primary.Addr)
	replica := Start(t, "replicaof "+host+" "+port)
	sentinel := newServer(t)
	_, own, _ := net.SplitHostPort(sentinel.Addr)
	sentinel.args = []string{"--sentinel"}
	sentinel.lines = []string{
		"bind 127.0.0.1", "port " + own, "dir " + sentinel.Dir,
		"sentinel monitor " + Master + " " + host + " " + port + " 1",
		// On a busy machine a server is silent for a second without being dead.
		"sentinel down-after-milliseconds " + Master + " 3000",
		"sentinel failover-timeout " + Master + " 5000",
	}
	sentinel.Run(t)
	replica.await(t, "follows", func(ctx context.Context, c *redis.Client) bool {
		info, err := c.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	sentinel.await(t, "knows the replica", func(ctx context.Context, c *redis.Client) bool {
		info, err := c.Info(ctx, "sentinel").Result()
		return err == nil && strings.Contains(info, "slaves=1")
	})
	return &Group{Primary: primary, Replica: replica, Sentinel: sentinel}
}

// AwaitReplica returns when the replica has what was acknowledged before the call.
func (g *Group) AwaitReplica(t testing.TB) {
	t.Helper()
	c := g.Primary.Client(t).Conn()
	defer c.Close()
	// WAIT is about the writes of its own connection, which come after all earlier ones.
	check(t, c.Set(t.Context(), "redistest:replicated", 1, 0).Err())
	n, err := c.Wait(t.Context(), 1, patience).Result()
	check(t, err)
	if n != 1 {
		t.Fatal("the replica does not follow")
	}
}

// AwaitPrimary returns when the server is a primary.
func (s *Server) AwaitPrimary(t testing.TB) {
	t.Helper()
	s.await(t, "is a primary", func(ctx context.Context, c *redis.Client) bool {
		info, err := c.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "role:master")
	})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
