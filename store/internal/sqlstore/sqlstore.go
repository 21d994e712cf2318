// SPDX-License-Identifier: Apache-2.0

// Package sqlstore is what the stores over a relational database have in common: one
// implementation of the contract, of the audit trail and of the schema's migration. A
// backend brings its driver, and its SQL in two places that people can read: the file
// statements.sql and the directory migrations.
package sqlstore

import (
	"context"
	"database/sql"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Dialect is what a backend knows about its database.
type Dialect struct {
	// Name is how administrators call the database, such as "PostgreSQL".
	Name string
	// Statements is the text of statements.sql, Migrations the directory of that name.
	Statements string
	Migrations fs.FS
	// Text makes a parameter of a site or a kind; nil means the string itself.
	Text func(string) any
	// Classify judges an error of the driver.
	Classify func(error) Fault
}

// Config is what Open needs.
type Config struct {
	*Dialect
	// Read and Write are pools of the same database; they may be one. Close closes both.
	Read, Write *sql.DB
	// Prefix begins the name of every table and index, see CheckPrefix.
	Prefix string
	// NoAudit turns the audit trail off.
	NoAudit bool
	// Retention is how long entries of the audit trail stay.
	Retention time.Duration
	// Watch reports changes; nil means that the store asks for them every second, with
	// the statements changes_last and changes_since.
	Watch func(ctx context.Context, fn func(store.Key)) error
}

// Store implements store.Store, store.Pinger, store.Watcher and store.Auditor.
type Store struct {
	config Config
	env    store.Env
	sql    map[string]string
	closed atomic.Bool
}

// Open brings the schema up to date and returns the store. It owns the pools of c from
// now on, also when it fails.
func Open(ctx context.Context, c Config, env store.Env) (*Store, error) {
	if c.Text == nil {
		c.Text = func(s string) any { return s }
	}
	s := &Store{config: c, env: env, sql: statements(c.Statements, c.Prefix)}
	if err := s.migrate(ctx); err != nil {
		s.closePools()
		return nil, err
	}
	return s, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.closePools()
}

func (s *Store) closePools() error {
	err := s.config.Write.Close()
	if s.config.Read != s.config.Write {
		if e := s.config.Read.Close(); err == nil {
			err = e
		}
	}
	return err
}

// Ping implements store.Pinger.
func (s *Store) Ping(ctx context.Context) (time.Time, error) {
	var ms int64
	err := s.row(ctx, "clock", nil, &ms)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(ms).UTC(), nil
}

// Interface guards.
var (
	_ store.Store   = (*Store)(nil)
	_ store.Pinger  = (*Store)(nil)
	_ store.Watcher = (*Store)(nil)
	_ store.Auditor = (*Store)(nil)
)
