// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore/sqlstoretest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres"
	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres/postgrestest"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	for name, test := range map[string]func(*testing.T, store.Store){
		"trail":     sqlstoretest.Audit,
		"retention": func(t *testing.T, st store.Store) { sqlstoretest.Retention(t, st, clock.System()) },
	} {
		t.Run(name, func(t *testing.T) {
			st := open(t, s, env())
			defer st.Close()
			test(t, st)
		})
	}
	st, err := postgres.Open(t.Context(), postgres.Options{DSN: secret.New(s.DSN("postgres")), NoAudit: true}, env())
	if err != nil {
		t.Fatal(err)
	}
	sqlstoretest.NoAudit(t, st)
	st.Close()

	st, err = postgres.Open(t.Context(), postgres.Options{DSN: secret.New(s.DSN("postgres"))}, env())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	sqlstoretest.Manual(t, st, "PostgreSQL", clock.System(), func(t *testing.T, query string) string {
		// The index that the first query is for must serve it, whatever the table's size.
		if strings.Contains(query, "person = '") {
			plan := s.SQL(t, "postgres", "SET enable_seqscan = off; EXPLAIN "+query)
			if !strings.Contains(plan, "mcp_oauth_audit_person") {
				t.Errorf("the query does not use its index:\n%s", plan)
			}
		}
		return s.SQL(t, "postgres", query)
	})
}

func TestPing(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	st := open(t, s, env())
	defer st.Close()
	now, err := st.(store.Pinger).Ping(t.Context())
	if off := clock.System().Sub(now); err != nil || off.Abs() > time.Minute {
		t.Errorf("the server's clock is off by %v, %v", off, err)
	}
}

// Poolers that share connections between transactions need a driver that prepares nothing.
func TestModesForPoolers(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	for _, mode := range []string{"exec", "simple_protocol", "describe_exec", "cache_describe"} {
		st, err := postgres.Open(t.Context(), postgres.Options{
			DSN: secret.New(s.DSN("postgres") + "?default_query_exec_mode=" + mode), Prefix: newPrefix(),
		}, env())
		if err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		works(t, st)
		sqlstoretest.Audit(t, st)
		st.Close()
	}
}
