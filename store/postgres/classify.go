// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore"
)

// remedies say what to do about what the server answers, by SQLSTATE
// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
var remedies = map[string]string{
	"28P01": "correct the user or the password in the dsn",
	"28000": "let the user in from this address, in pg_hba.conf, or correct the user in the dsn",
	"3D000": "create the database, or correct its name in the dsn",
	"3F000": "create the schema, or correct search_path in the dsn",
	"42501": "let the user of the dsn SELECT, INSERT, UPDATE and DELETE in the tables, and CREATE in the schema or run the migrations by hand",
	"42P01": "run the migrations again: a table is missing that the schema version promises",
	"42703": "run the migrations again: a column is missing that the schema version promises",
	"53300": "the server has no connection left: lower max_conns, or raise max_connections of the server",
	"53100": "make room on the disk of the database server",
	"25006": "the server can only be read: name the primary in the dsn",
}

// classify judges an error of the driver.
func classify(err error) sqlstore.Fault {
	var pg *pgconn.PgError
	var network net.Error
	switch {
	case errors.As(err, &pg):
		return classifyCode(pg.Code)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return sqlstore.Fault{Remedy: dialRemedy(err)}
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.Is(err, pgconn.ErrConnClosed), errors.As(err, &network):
		return sqlstore.Fault{Passing: true, Lost: true, Remedy: dialRemedy(err)}
	}
	return sqlstore.Fault{Remedy: dialRemedy(err)}
}

func classifyCode(code string) sqlstore.Fault {
	f := sqlstore.Fault{Remedy: remedies[code]}
	switch {
	// Serialization failure and deadlock.
	case code == "40001", code == "40P01":
		f.Passing = true
	// The server shuts down, crashed, or starts; the connection broke.
	case strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "08"):
		f.Passing, f.Lost = true, true
	// The disk is full.
	case code == "53100":
		f.Refused = true
	}
	return f
}

// dialRemedy is for errors before the server had a say.
func dialRemedy(err error) string {
	var connect *pgconn.ConnectError
	var dns *net.DNSError
	switch text := err.Error(); {
	case !errors.As(err, &connect):
		return ""
	case errors.As(err, &dns):
		return "correct the host in the dsn, or look at the name service of this machine"
	case strings.Contains(text, "refused TLS"):
		return "let the server offer TLS, or write sslmode=disable in the dsn where you trust the network"
	case strings.Contains(text, "certificate"), strings.Contains(text, "x509"), strings.Contains(text, "tls:"):
		return "give the certificate of the server's authority as sslrootcert in the dsn, and the host by the name in its certificate"
	case strings.Contains(text, "read only"), strings.Contains(text, "read-only"), strings.Contains(text, "ValidateConnect"):
		return "no server in the dsn can be written: name the primary"
	}
	return "start the server, or correct host and port in the dsn, and let connections from this machine through"
}

// explain adds the remedy to an error from before the store was open.
func explain(err error) error { return sqlstore.Explain(err, classify(err)) }
