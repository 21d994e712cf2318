// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore/sqlstoretest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/sqlite"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

// patience bounds what can hang, far above what anything takes.
const patience = 60 * time.Second

func env() store.Env {
	return store.Env{Now: clock.System, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, path string, env store.Env) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{Retention: time.Hour}, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// file is a path with what a URL would take for something else.
func file(t testing.TB) string { return filepath.Join(t.TempDir(), "a b", "st?re%41#.sqlite") }

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store { return open(t, file(t), env) })
}

func TestAudit(t *testing.T) {
	t.Parallel()
	sqlstoretest.Audit(t, open(t, file(t), env()))
	sqlstoretest.Retention(t, open(t, file(t), env()), clock.System())
	path := file(t)
	s := open(t, path, env())
	db, err := sql.Open("sqlite", uri(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	sqlstoretest.Manual(t, s, "SQLite", clock.System(), func(t *testing.T, query string) string {
		if strings.Contains(query, "person = '") && !strings.Contains(rows(t, db, "EXPLAIN QUERY PLAN "+query), "mcp_oauth_audit_person") {
			t.Error("the query does not use its index")
		}
		return rows(t, db, query)
	})
	off, err := sqlite.Open(t.Context(), file(t), sqlite.Options{NoAudit: true}, env())
	if err != nil {
		t.Fatal(err)
	}
	defer off.Close()
	sqlstoretest.NoAudit(t, off)
}

// uri names a file as SQLite wants it.
func uri(path string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// rows are the rows of a query as text.
func rows(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	found, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	columns, _ := found.Columns()
	var out strings.Builder
	for found.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := found.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			fmt.Fprintf(&out, "%v|", *v.(*any))
		}
		out.WriteString("\n")
	}
	return out.String()
}

func TestFileBelongsToItsOwner(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // the file inherits the rights of its directory there
	}
	path := file(t)
	s := open(t, path, env())
	if err := s.Create(t.Context(), record(1, 1)); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(all) < 2 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, name := range all {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer")
	db, err := sql.Open("sqlite", uri(newer))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE mcp_oauth_schema_version (version INTEGER); INSERT INTO mcp_oauth_schema_version VALUES (3)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	for path, want := range map[string]string{
		garbage:                              "the file is no SQLite database: write another path",
		newer:                                "have schema version 3 and this server knows 2: update the server on this node",
		dir:                                  "write the path of a file that Caddy can make",
		filepath.Join(garbage, "below", "x"): "make the directory writable for the user who runs Caddy, or write another path",
	} {
		s, err := sqlite.Open(t.Context(), path, sqlite.Options{}, env())
		if s != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// Two processes, here two handles, are one store.
func TestTwoHandlesMigrateAndWriteAtOnce(t *testing.T) {
	t.Parallel()
	path := file(t)
	var group sync.WaitGroup
	for h := range 4 {
		group.Go(func() {
			s, err := sqlite.Open(context.Background(), path, sqlite.Options{}, env())
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for n := range 25 {
				if err := s.Create(context.Background(), record(100*h+n, 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	s := open(t, path, env())
	for h := range 4 {
		for n := range 25 {
			if _, err := s.Get(t.Context(), record(100*h+n, 1).Key); err != nil {
				t.Errorf("record %d of handle %d: %v", n, h, err)
			}
		}
	}
}
