// SPDX-License-Identifier: Apache-2.0

// Package sqlserver is a store in SQL Server 2016 or later and in Azure SQL Database, for
// any number of nodes, with an audit trail beside the records. It is not part of the
// default build. Its SQL has the shape of that of package postgres; it has not been run
// against a real server by the project.
package sqlserver

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/azuread"

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

// openLimit bounds how long opening may take: a paused serverless database of Azure
// needs most of it to wake up.
const openLimit = 60 * time.Second

// Open connects to the database and brings its schema up to date.
func Open(ctx context.Context, o Options, env store.Env) (store.Store, error) {
	d, err := parse(o.DSN.Reveal())
	if err != nil {
		return nil, err
	}
	if o.Prefix == "" {
		o.Prefix = sqlstore.DefaultPrefix
	}
	if o.MaxConns == 0 {
		o.MaxConns = sqlstore.DefaultMaxConns
	}
	d.warn(ctx, env)
	connector, err := azuread.NewConnector(d.text())
	if err != nil {
		return nil, errDSN
	}
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(o.MaxConns)
	db.SetMaxIdleConns(o.MaxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour)
	loss, err := inspect(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return sqlstore.Open(ctx, sqlstore.Config{
		Dialect: &sqlstore.Dialect{Statements: statements, Migrations: migrations, Text: varchar, Classify: classify},
		Read:    db, Write: db, Prefix: o.Prefix, NoAudit: o.NoAudit, Retention: o.Retention, Loss: loss,
	}, env)
}

// varchar keeps the driver from sending nvarchar, for which an index on a char column is
// of little use.
func varchar(s string) any { return mssql.VarChar(s) }

// inspect refuses a database that cannot keep the contract, and tells what one can lose
// that keeps it until it crashes.
func inspect(ctx context.Context, db *sql.DB) (loss string, err error) {
	var readOnly bool
	var delayed, unused string
	err = db.QueryRowContext(ctx, sqlstore.Statement(statements, "inspect")).Scan(&readOnly, &delayed, &unused)
	switch {
	case err != nil:
		return "", explain(err)
	case readOnly:
		return "", errors.New("the database can only be read: name the primary in the dsn")
	case delayed == "FORCED":
		return "A crash of the database server loses the writes of the last moment, since DELAYED_DURABILITY is FORCED.", nil
	}
	return "", nil
}
