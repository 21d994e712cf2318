// SPDX-License-Identifier: Apache-2.0

// Package postgres is a store in PostgreSQL 12 or later, for any number of nodes, with an
// audit trail beside the records. It is not part of the default build.
package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore"
)

//go:embed statements.sql
var statements string

//go:embed migrations/*.sql
var migrations embed.FS

// Options are the choices of whoever opens a store.
type Options struct {
	// DSN says which database, see CheckDSN. Required.
	DSN secret.String
	// Prefix begins the names of the tables; "" means mcp_oauth_.
	Prefix string
	// NoAudit turns the audit trail off.
	NoAudit bool
	// Retention is how long entries of the audit trail stay; 0 means for ever.
	Retention time.Duration
	// MaxConns is how many connections there are at most; 0 means 16.
	MaxConns int
}

// openLimit bounds how long opening may take.
const openLimit = 10 * time.Second

// Open connects to the database and brings its schema up to date.
func Open(ctx context.Context, o Options, env store.Env) (store.Store, error) {
	config, err := parse(o.DSN)
	if err != nil {
		return nil, err
	}
	if o.Prefix == "" {
		o.Prefix = sqlstore.DefaultPrefix
	}
	if o.MaxConns == 0 {
		o.MaxConns = sqlstore.DefaultMaxConns
	}
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	db := pool(config, o.MaxConns)
	loss, err := inspect(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if loss != "" && env.Log != nil {
		env.Log.WarnContext(ctx, "the database can lose what it has acknowledged", "loss", loss)
	}
	channel := o.Prefix + "changes"
	w, n := watcher{config: config, channel: channel}, newNotifier(db, channel)
	return sqlstore.Open(ctx, sqlstore.Config{
		Dialect: &sqlstore.Dialect{Statements: statements, Migrations: migrations, Classify: classify},
		Read:    db, Write: db, Prefix: o.Prefix, NoAudit: o.NoAudit, Retention: o.Retention, Loss: loss,
		Watch: w.watch, Changed: n.changed, Closing: n.close,
	}, env)
}

func pool(config *pgx.ConnConfig, conns int) *sql.DB {
	// A ping before a statement would be a second round trip. A connection that broke
	// while it was idle is noticed by the statement, which is then sent again.
	never := func(context.Context, stdlib.ShouldPingParams) bool { return false }
	db := stdlib.OpenDB(*config, stdlib.OptionShouldPing(never))
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour)
	return db
}

// inspect refuses a database that cannot keep the contract, and tells what one can lose
// that keeps it until it crashes.
func inspect(ctx context.Context, db *sql.DB) (loss string, err error) {
	var replica bool
	var synchronous, fsync string
	err = db.QueryRowContext(ctx, sqlstore.Statement(statements, "inspect")).Scan(&replica, &synchronous, &fsync)
	switch {
	case err != nil:
		return "", explain(err)
	case replica:
		return "", errors.New("the server is a replica, which can only be read: name the primary in the dsn, or add target_session_attrs=read-write")
	case fsync == "off":
		return "A crash of the database server loses any write, since fsync is off.", nil
	case synchronous == "off":
		return "A crash of the database server loses the writes of the last moment, since synchronous_commit is off.", nil
	}
	return "", nil
}
