// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/file"
	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore"
)

func init() {
	caddy.RegisterModule(Module{})
}

const place = "store sqlite"

// Module keeps all state in an SQLite file on a local disk, with an audit trail beside it.
// Processes of one machine can share the file; several machines need another store.
type Module struct {
	// Path is the file; it is made with its directory where they are absent, readable by
	// their owner alone. {env.*} and {file.*} may occur anywhere in it. A relative path
	// is relative to the working directory. Beside it, <path>.key holds the key under
	// which the state is sealed when encryption_key is not set: keep both, and keep the
	// key out of backups of the file. Required.
	Path string `json:"path,omitempty"`

	// Audit is "off" where no audit trail is wanted. Default: "on".
	Audit string `json:"audit,omitempty"`

	// Retention is how long entries of the audit trail stay: 1h to 3650d. Default: 90d.
	Retention string `json:"retention,omitempty"`

	// Without placeholders; path is absolute.
	path      string
	noAudit   bool
	retention time.Duration
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.mcp_oauth.stores.sqlite",
		New: func() caddy.Module { return new(Module) },
	}
}

// value is the path after the name.
func (m *Module) value() surface.Word {
	return surface.Word{
		Usage: "<path>", Required: true, Check: checkPath, Value: &m.Path,
		Resolved: func(v []string) { m.path = v[0] },
	}
}

// words are the words of the block.
func (m *Module) words() []surface.Word {
	return []surface.Word{
		{
			Usage: "audit [off]", Bare: sqlstore.AuditOn, Check: sqlstore.CheckAudit, Value: &m.Audit,
			Resolved: func(v []string) { m.noAudit = v[0] == sqlstore.AuditOff },
		},
		{
			Usage: "retention <duration>", Check: sqlstore.CheckRetention, Value: &m.Retention,
			// The text has passed the check.
			Resolved: func(v []string) { m.retention, _ = sqlstore.ParseRetention(v[0]) },
		},
	}
}

// Provision resolves the configuration. It opens and makes nothing, so that it can be
// validated beside a running server.
func (m *Module) Provision(caddy.Context) error {
	m.noAudit, m.retention = false, sqlstore.DefaultRetention
	if err := surface.Resolve(place, append(m.words(), m.value())); err != nil {
		return err
	}
	var err error
	m.path, err = filepath.Abs(m.path)
	return err
}

// Identity implements store.Opener: the absolute path. Provision must have run.
func (m *Module) Identity() string { return m.path }

// Open implements store.Opener.
func (m *Module) Open(ctx context.Context, env store.Env) (store.Store, error) {
	return Open(ctx, m.path, Options{NoAudit: m.noAudit, Retention: m.retention}, env)
}

// MasterKey returns the key that is kept beside the file, see file.KeyBeside.
func (m *Module) MasterKey(ctx context.Context, open func(context.Context) (store.Store, error), env store.Env) ([]byte, error) {
	return file.KeyBeside(m.path, func() (bool, error) {
		opened, err := open(ctx)
		if err != nil {
			return false, err
		}
		return opened.(*sqlstore.Store).InUse(ctx)
	}, env.Rand)
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	store sqlite <path> {
//		audit [off]
//		retention <duration>
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return surface.UnmarshalValue(d, place, m.value(), m.words())
}

// checkPath checks a path without placeholders.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("the path is empty: write the name of a file")
	case strings.ContainsRune(path, 0):
		return errors.New("the path contains a NUL: write it without")
	case strings.HasSuffix(path, "/") || strings.HasSuffix(path, string(filepath.Separator)):
		return fmt.Errorf("%q names a directory: write the name of a file in it, such as %q", path, path+"store.sqlite")
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ store.Opener          = (*Module)(nil)
)
