// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgres_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres"
	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres/postgrestest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

// opened counts stores, so that each has tables of its own.
var opened atomic.Int64

func newPrefix() string { return fmt.Sprintf("t%d_", opened.Add(1)) }

// open opens a store with tables of its own.
func open(t testing.TB, s *postgrestest.Server, env store.Env) store.Store {
	t.Helper()
	return openPrefix(t, s, newPrefix(), env)
}

func openPrefix(t testing.TB, s *postgrestest.Server, prefix string, env store.Env) store.Store {
	t.Helper()
	st, err := postgres.Open(t.Context(), postgres.Options{
		DSN: secret.New(s.DSN("postgres")), Prefix: prefix, Retention: time.Hour, MaxConns: 8,
	}, env)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
	return st
}

func TestContract(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store { return open(t, s, env) })
}
