// SPDX-License-Identifier: Apache-2.0

// Package sqlstore is what the stores over a relational database have in common: one
// implementation of the contract, of the audit trail and of the schema's migration. A
// backend brings its driver, and its SQL in two places that people can read: the file
// statements.sql and the directory migrations.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Dialect is what a backend knows about its database.
type Dialect struct {
	// Statements is the text of statements.sql, Migrations the directory of that name.
	Statements string
	Migrations fs.FS
	// Text makes a parameter of a text that has ASCII alone; nil means the string itself.
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
	// Changed is told of each record that Update changed, or may have; nil means nobody. It
	// does not wait.
	Changed func(store.Key)
	// Closing is called before the pools are closed; may be nil.
	Closing func()
	// Loss is what store.Durable says of a database that can lose acknowledged writes; ""
	// means that it cannot.
	Loss string
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
func Open(ctx context.Context, c Config, env store.Env) (store.Store, error) {
	if c.Text == nil {
		c.Text = func(s string) any { return s }
	}
	s := &Store{config: c, env: env, sql: statements(c.Statements, c.Prefix)}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.closePools())
	}
	if c.Loss != "" {
		return lossy{s}, nil
	}
	return s, nil
}

// lossy is a Store that can lose acknowledged writes.
type lossy struct{ *Store }

// Loss implements store.Durable.
func (l lossy) Loss() string { return l.config.Loss }

// Close implements store.Store.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.closePools()
}

func (s *Store) closePools() error {
	if s.config.Closing != nil {
		s.config.Closing()
	}
	if s.config.Read == s.config.Write {
		return s.config.Write.Close()
	}
	return errors.Join(s.config.Read.Close(), s.config.Write.Close())
}

// Ping implements store.Pinger.
func (s *Store) Ping(ctx context.Context) (time.Time, error) {
	var ms int64
	if err := s.row(ctx, "clock", nil, &ms); err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(ms).UTC(), nil
}

// InUse tells whether anything is kept in the database. Its statement is in_use.
func (s *Store) InUse(ctx context.Context) (bool, error) {
	var used bool
	err := s.row(ctx, "in_use", nil, &used)
	return used, err
}

// Interface guards.
var (
	_ store.Store   = (*Store)(nil)
	_ store.Pinger  = (*Store)(nil)
	_ store.Watcher = (*Store)(nil)
	_ store.Auditor = (*Store)(nil)
	_ store.Durable = lossy{}
)
