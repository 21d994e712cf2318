// SPDX-License-Identifier: Apache-2.0

package sqlserver

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore"
)

func init() {
	caddy.RegisterModule(Module{})
}

const place = "store sqlserver"

// Module keeps all state in SQL Server or Azure SQL Database, where any number of nodes
// share it, with an audit trail beside it. encryption_key is required, since all nodes
// need the same. The project has not run it against a real server.
type Module struct {
	// DSN says which database, as a URL `sqlserver://user:password@host?database=mcp` or as
	// the connection string that the Azure portal shows, in which Authentication is heeded.
	// The connection is encrypted unless encrypt says otherwise. Write a placeholder, since
	// it may hold a password. Required.
	DSN string `json:"dsn,omitempty"`

	// TablePrefix begins the name of every table: 1 to 40 of a-z, 0-9 and _.
	// Default: `mcp_oauth_`.
	TablePrefix string `json:"table_prefix,omitempty"`

	// Audit is "off" where no audit trail is wanted. Default: "on".
	Audit string `json:"audit,omitempty"`

	// Retention is how long entries of the audit trail stay: 1h to 3650d. Default: 90d.
	Retention string `json:"retention,omitempty"`

	// MaxConns is how many connections this node has at most: 2 to 1000. Default: 16.
	MaxConns caddyhttp.WeakString `json:"max_conns,omitempty"`

	resolved Options // without placeholders
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.mcp_oauth.stores.sqlserver",
		New: func() caddy.Module { return new(Module) },
	}
}

// value is the dsn after the name.
func (m *Module) value() surface.Word {
	return surface.Word{
		Usage: "<dsn>", Required: true, Check: CheckDSN, Value: &m.DSN,
		Resolved: func(v []string) { m.resolved.DSN = secret.New(v[0]) },
	}
}

// words are the words of the block. What Resolved gets has passed the check.
func (m *Module) words() []surface.Word {
	return []surface.Word{
		{
			Usage: "table_prefix <text>", Check: sqlstore.CheckPrefix, Value: &m.TablePrefix,
			Resolved: func(v []string) { m.resolved.Prefix = v[0] },
		},
		{
			Usage: "audit [off]", Bare: sqlstore.AuditOn, Check: sqlstore.CheckAudit, Value: &m.Audit,
			Resolved: func(v []string) { m.resolved.NoAudit = v[0] == sqlstore.AuditOff },
		},
		{
			Usage: "retention <duration>", Check: sqlstore.CheckRetention, Value: &m.Retention,
			Resolved: func(v []string) { m.resolved.Retention, _ = sqlstore.ParseRetention(v[0]) },
		},
		{
			Usage: "max_conns <n>", Check: sqlstore.CheckMaxConns, Value: (*string)(&m.MaxConns),
			Resolved: func(v []string) { m.resolved.MaxConns, _ = sqlstore.ParseMaxConns(v[0]) },
		},
	}
}

// Provision resolves the configuration. It dials nothing.
func (m *Module) Provision(caddy.Context) error {
	m.resolved = Options{Prefix: sqlstore.DefaultPrefix, Retention: sqlstore.DefaultRetention, MaxConns: sqlstore.DefaultMaxConns}
	return surface.Resolve(place, append(m.words(), m.value()))
}

// Identity implements store.Opener: server, database and tables. Provision must have run.
func (m *Module) Identity() string { return identity(m.resolved.DSN.Reveal(), m.resolved.Prefix) }

// Reopens implements store.Reopener.
func (*Module) Reopens() {}

// Open implements store.Opener.
func (m *Module) Open(ctx context.Context, env store.Env) (store.Store, error) {
	return Open(ctx, m.resolved, env)
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	store sqlserver <dsn> {
//		table_prefix <text>
//		audit [off]
//		retention <duration>
//		max_conns <n>
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return surface.UnmarshalValue(d, place, m.value(), m.words())
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ store.Opener          = (*Module)(nil)
)
