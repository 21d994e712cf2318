// SPDX-License-Identifier: Apache-2.0

package sqlserver_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore/sqlstoretest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/sqlserver"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

// tests are those that can run here: on a machine without SQL Server there is no more
// than what needs none.
func tests() map[string]func(*testing.T) {
	all := map[string]func(*testing.T){"nobody listens": unreachable}
	if dsn := os.Getenv("MCPOAUTH_TEST_SQLSERVER_DSN"); dsn != "" {
		all["contract"] = func(t *testing.T) { contract(t, dsn) }
		all["audit"] = func(t *testing.T) { audit(t, dsn) }
	}
	return all
}

func TestStore(t *testing.T) {
	t.Parallel()
	for name, test := range tests() {
		t.Run(name, test)
	}
}

func env() store.Env {
	return store.Env{Now: clock.System, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
}

func unreachable(t *testing.T) {
	dsn := "sqlserver://u:hush@127.0.0.1:1?database=mcp&dial+timeout=2"
	s, err := sqlserver.Open(t.Context(), sqlserver.Options{DSN: secret.New(dsn)}, env())
	if s != nil || err == nil || !strings.Contains(err.Error(), "start the server, or correct server and port in the dsn") || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}

// open opens a store with tables of its own, which stay: the database is for tests alone.
func open(t *testing.T, dsn string, env store.Env) store.Store {
	t.Helper()
	prefix := fmt.Sprintf("t%s_", strings.ToLower(rand.Text()[:20]))
	s, err := sqlserver.Open(t.Context(), sqlserver.Options{DSN: secret.New(dsn), Prefix: prefix, Retention: time.Hour}, env)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func contract(t *testing.T, dsn string) {
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store { return open(t, dsn, env) })
}

func audit(t *testing.T, dsn string) {
	for _, test := range []func(*testing.T, store.Store){
		sqlstoretest.Audit, func(t *testing.T, s store.Store) { sqlstoretest.Retention(t, s, clock.System()) },
	} {
		s := open(t, dsn, env())
		test(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
