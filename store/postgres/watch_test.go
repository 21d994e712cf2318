// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres/postgrestest"
)

// begin opens a transaction of somebody else and runs a statement in it.
func begin(t *testing.T, s *postgrestest.Server, statement string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	for _, text := range []string{"BEGIN", statement} {
		if _, err := conn.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// awaitBlocked returns once a statement of the store waits for a lock.
func awaitBlocked(t *testing.T, s *postgrestest.Server) {
	t.Helper()
	deadline, again := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for !strings.HasPrefix(s.SQL(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'mcp_oauth'"), "1") {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatal("nothing waits for the lock")
		}
	}
}

// watch starts a watch and returns what it reports, and how it ends.
func watch(t *testing.T, ctx context.Context, s store.Store) (keys chan store.Key, ended chan error) {
	t.Helper()
	keys, ended = make(chan store.Key, 1000), make(chan error, 1)
	go func() { ended <- s.(store.Watcher).Watch(ctx, func(k store.Key) { keys <- k }) }()
	if k := receive(t, keys); k != (store.Key{}) {
		t.Fatalf("the first report is %v, not that anything may have changed", k)
	}
	return keys, ended
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("never happened")
		panic("unreachable")
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	prefix := newPrefix()
	a, b := openPrefix(t, s, prefix, env()), openPrefix(t, s, prefix, env())
	defer a.Close()
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	keys, ended := watch(t, ctx, b)
	other := open(t, s, env())
	defer other.Close()
	works(t, other) // other tables are no concern

	r, u := record(1, 1), record(1, 2)
	if err := errors.Join(a.Create(t.Context(), r), a.Update(t.Context(), u, r.Version)); err != nil {
		t.Fatal(err)
	}
	if k := receive(t, keys); k != r.Key {
		t.Errorf("an update of another node reported %v", k)
	}
	// A database administrator counts, too.
	s.SQL(t, "postgres", "DELETE FROM "+prefix+"records")
	if k := receive(t, keys); k != r.Key {
		t.Errorf("a deletion by hand reported %v", k)
	}
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
}

// A watch that may have missed something ends, and the next one says so first.
func TestWatchEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	st := open(t, s, env())
	defer st.Close()
	_, ended := watch(t, t.Context(), st)
	s.Crash(t)
	if err := receive(t, ended); err == nil || definite(err) {
		t.Errorf("the watch ended with %v", err)
	}
	if err := st.(store.Watcher).Watch(t.Context(), func(store.Key) {}); err == nil || !strings.Contains(err.Error(), "start the server") {
		t.Errorf("a watch without a server: %v", err)
	}
	s.Run(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, ended = watch(t, ctx, st)
	cancel()
	receive(t, ended)
}
