// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

// prefixes makes every store of a test run a place of its own in a shared server.
var prefixes atomic.Int64

func openStore(t *testing.T, o redis.Options, env store.Env) *redis.Store {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = fmt.Sprintf("test%d:", prefixes.Add(1))
	}
	s, err := redis.Open(t.Context(), o, env)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func systemEnv() store.Env {
	return store.Env{Now: clock.System, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
}

// contract runs the one suite with two connections, as two nodes have them.
func contract(t *testing.T, o redis.Options) {
	t.Helper()
	var opened sync.Map // the options of each first store
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store {
		mine := o
		mine.Prefix = fmt.Sprintf("test%d:", prefixes.Add(1))
		s := openStore(t, mine, env)
		opened.Store(store.Store(s), mine)
		return s
	}, storetest.OpenSecond(func(t *testing.T, first store.Store, env store.Env) store.Store {
		mine, _ := opened.Load(first)
		return openStore(t, mine.(redis.Options), env)
	}), storetest.Watches())
}

// On a bare machine the suite runs in a server that is written in Go.
func TestContractMiniredis(t *testing.T) {
	t.Parallel()
	contract(t, redis.Options{Addresses: []string{miniredis.RunT(t).Addr()}})
}

func TestContractServer(t *testing.T) {
	t.Parallel()
	contract(t, redis.Options{Addresses: []string{redistest.Start(t).Addr}})
}

func TestContractUnixSocket(t *testing.T) {
	t.Parallel()
	contract(t, redis.Options{Addresses: []string{redistest.Start(t).Socket}})
}

func TestContractCluster(t *testing.T) {
	t.Parallel()
	contract(t, redis.Options{Addresses: []string{redistest.StartCluster(t)[0].Addr}, Cluster: true})
}

func TestContractSentinel(t *testing.T) {
	t.Parallel()
	contract(t, redis.Options{Addresses: []string{redistest.StartSentinel(t).Sentinel.Addr}, Sentinel: redistest.Master})
}
