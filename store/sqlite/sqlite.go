// SPDX-License-Identifier: Apache-2.0

// Package sqlite is a store in an SQLite file, for one machine: a file that an
// administrator can read with the tools he knows, with an audit trail beside the records.
// Several processes of the machine may use it at a time. It is not part of the default
// build.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"modernc.org/sqlite"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore"
)

//go:embed statements.sql
var statements string

//go:embed migrations/*.sql
var migrations embed.FS

// Options are the choices of whoever opens a store.
type Options struct {
	// NoAudit turns the audit trail off.
	NoAudit bool
	// Retention is how long entries of the audit trail stay; 0 means for ever.
	Retention time.Duration
}

// readers is how many connections read at a time, beside the one that writes.
const readers = 4

// Open opens the file, and makes it where it is absent, with its directory, for its owner
// alone.
func Open(ctx context.Context, path string, o Options, env store.Env) (store.Store, error) {
	if err := prepare(path); err != nil {
		return nil, err
	}
	// SQLite has one writer at a time. Waiting in the pool is fair, and waiting for the
	// lock of the file is for other processes alone.
	write, err := pool(path, 1, "_txlock=immediate", "_pragma=journal_mode(wal)", "_pragma=synchronous(full)")
	if err != nil {
		return nil, err
	}
	read, err := pool(path, readers, "_pragma=query_only(true)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	return sqlstore.Open(ctx, sqlstore.Config{
		Dialect: &sqlstore.Dialect{Statements: statements, Migrations: migrations, Classify: classify},
		Read:    read, Write: write, Prefix: sqlstore.DefaultPrefix, NoAudit: o.NoAudit, Retention: o.Retention,
	}, env)
}

// prepare makes the file before SQLite does, which would let others read it.
func prepare(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("%w: make the directory writable for the user who runs Caddy, or write another path", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: let the user who runs Caddy read and write the file and its directory", err)
	case err != nil:
		return fmt.Errorf("%w: write the path of a file that Caddy can make", err)
	}
	return f.Close()
}

// busyTimeout is how long SQLite waits for another process, in milliseconds: less than a
// call may take.
const busyTimeout = "_pragma=busy_timeout(700)"

func pool(path string, conns int, params ...string) (*sql.DB, error) {
	query := strings.Join(append(params, busyTimeout), "&")
	if runtime.GOOS == "windows" {
		path = "/" + filepath.ToSlash(path)
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: query}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// The primary result codes of SQLite that say something to whoever runs the server
// (https://www.sqlite.org/rescode.html).
const (
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeIOError  = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

func classify(err error) sqlstore.Fault {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return sqlstore.Fault{}
	}
	switch e.Code() & 0xff {
	case codeBusy, codeLocked:
		return sqlstore.Fault{Passing: true, Remedy: "another process holds the file locked: end what has it open for long"}
	case codeReadOnly, codeCantOpen:
		return sqlstore.Fault{Refused: e.Code()&0xff == codeReadOnly, Remedy: "let the user who runs Caddy read and write the file, those beside it, and its directory"}
	case codeFull:
		return sqlstore.Fault{Refused: true, Remedy: "make room on the disk; nothing is lost, and no restart is needed"}
	case codeIOError:
		return sqlstore.Fault{Remedy: "look at the disk and at the system's log"}
	case codeCorrupt:
		return sqlstore.Fault{Remedy: "the file is damaged: restore a backup of it"}
	case codeNotADB:
		return sqlstore.Fault{Remedy: "the file is no SQLite database: write another path"}
	}
	return sqlstore.Fault{}
}
