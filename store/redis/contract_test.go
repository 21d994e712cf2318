// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
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

// On a bare machine the suite runs in a server that is written in Go.
func TestContractMiniredis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store {
		return openStore(t, redis.Options{Addresses: []string{server.Addr()}}, env)
	})
}

func TestContractServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store {
		return openStore(t, redis.Options{Addresses: []string{server.Addr}}, env)
	})
}

func TestContractCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store {
		return openStore(t, redis.Options{Addresses: []string{nodes[0].Addr}, Cluster: true}, env)
	})
}

func TestContractSentinel(t *testing.T) {
	t.Parallel()
	group := redistest.StartSentinel(t)
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store {
		return openStore(t, redis.Options{Addresses: []string{group.Sentinel.Addr}, Sentinel: redistest.Master}, env)
	})
}
