// SPDX-License-Identifier: Apache-2.0

package sqlserver

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore"
)

// Numbers of errors that pass: deadlocks, conflicts of snapshots, a key that two nodes
// made at once, timeouts of locks; and what Azure SQL Database answers while it moves,
// starts or throttles a database.
// https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
var (
	passing = []int32{1205, 1222, 3960, 2601, 2627, 41302, 41305, 41325, 41839}
	// The database, or its log, is full.
	full      = []int32{1105, 9002}
	azureBusy = []int32{4221, 10928, 10929, 40197, 40501, 40540, 40613, 42108, 42109, 49918, 49919, 49920}
)

// remedies say what to do about what the server answers, by number.
var remedies = map[int32]string{
	18456: "correct the user or the password in the dsn, or let the user into the database",
	18452: "write a user and a password in the dsn, or fedauth for Microsoft Entra",
	4060:  "create the database, correct its name in the dsn, or let the user into it",
	40615: "let the address of this machine through the firewall of the server",
	40532: "correct the server in the dsn: Azure does not know it",
	229:   "let the user of the dsn SELECT, INSERT, UPDATE and DELETE in the tables",
	262:   "let the user of the dsn create tables, or run the migrations by hand",
	2760:  "let the user of the dsn use its default schema, or run the migrations by hand",
	208:   "run the migrations again: a table is missing that the schema version promises",
	207:   "run the migrations again: a column is missing that the schema version promises",
	1105:  "make room in the database",
	9002:  "make room in the log of the database",
	3906:  "the database can only be read: name the primary in the dsn",
}

// classify judges an error of the driver.
func classify(err error) sqlstore.Fault {
	var answer mssql.Error
	var network net.Error
	var stream mssql.StreamError
	switch {
	case errors.As(err, &answer):
		f := sqlstore.Fault{Remedy: remedies[answer.Number]}
		f.Passing = slices.Contains(passing, answer.Number) || slices.Contains(azureBusy, answer.Number)
		f.Refused = slices.Contains(full, answer.Number)
		return f
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return sqlstore.Fault{Remedy: dialRemedy(err)}
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.As(err, &network), errors.As(err, &stream):
		return sqlstore.Fault{Passing: true, Lost: true, Remedy: dialRemedy(err)}
	}
	return sqlstore.Fault{Remedy: dialRemedy(err)}
}

// dialRemedy is for errors before the server had a say.
func dialRemedy(err error) string {
	var dns *net.DNSError
	var dial *net.OpError
	switch text := err.Error(); {
	case errors.As(err, &dns):
		return "correct the server in the dsn, or look at the name service of this machine"
	case strings.Contains(text, "certificate"), strings.Contains(text, "x509"), strings.Contains(text, "TLS Handshake"):
		return "give the certificate of the server's authority as certificate in the dsn, and the name in it as hostnameincertificate"
	case strings.Contains(text, "server does not support encryption"):
		return "let the server offer encryption, or write encrypt=disable in the dsn where you trust the network"
	case errors.As(err, &dial) && dial.Op == "dial", strings.Contains(text, "unable to open tcp connection"):
		return "start the server, or correct server and port in the dsn, and let connections from this machine through"
	}
	return ""
}

// explain adds the remedy to an error from before the store was open.
func explain(err error) error { return sqlstore.Explain(err, classify(err)) }
