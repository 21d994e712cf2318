// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func init() {
	caddy.RegisterModule(Module{})
}

const usage = "store file [<path>]"

// Module keeps all state in one file on a local disk. It is the default store. Sign-ins
// survive restarts; one process at a time can use the file. Several nodes need a shared
// store instead.
type Module struct {
	// Path is the file; it is made with its directory where they are absent, readable by
	// their owner alone. {env.*} and {file.*} may occur anywhere in it. A relative path
	// is relative to the working directory. Beside it, <path>.key holds the key under
	// which the state is sealed when encryption_key is not set: keep both, and keep the
	// key out of backups of the file. Default: mcp_oauth/store.db in Caddy's data
	// directory.
	Path string `json:"path,omitempty"`

	// resolved is Path without placeholders, absolute.
	resolved string
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.mcp_oauth.stores.file",
		New: func() caddy.Module { return new(Module) },
	}
}

// Provision resolves the path. It opens and makes nothing, so that a configuration can
// be validated beside a running server.
func (m *Module) Provision(caddy.Context) error {
	path, err := m.resolve()
	if err == nil {
		m.resolved, err = filepath.Abs(path)
	}
	if err != nil {
		return fmt.Errorf("path of store file: %w", err)
	}
	return nil
}

func (m *Module) resolve() (string, error) {
	if m.Path == "" {
		return filepath.Join(caddy.AppDataDir(), "mcp_oauth", "store.db"), nil
	}
	path, err := surface.Expand(caddy.NewReplacer(), m.Path)
	if err != nil {
		return "", err
	}
	return path, checkPath(path)
}

// Identity implements store.Opener: the absolute path. Provision must have run.
func (m *Module) Identity() string { return m.resolved }

// Open implements store.Opener.
func (m *Module) Open(_ context.Context, env store.Env) (store.Store, error) {
	s, err := Open(m.resolved, env)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// MasterKey returns the key that is kept beside the file, see Store.MasterKey. Where the
// store cannot be opened now, the key that is there will do: much can be answered
// without the store.
func (m *Module) MasterKey(ctx context.Context, open func(context.Context) (store.Store, error), env store.Env) ([]byte, error) {
	opened, err := open(ctx)
	if err != nil {
		if key, lost := readKey(m.resolved + ".key"); lost == nil {
			return key, nil
		}
		return nil, err
	}
	return opened.(*Store).MasterKey(ctx, env.Rand)
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	store file [<path>]
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		m.Path = d.Val()
		if err := surface.CheckUnresolved(m.Path, checkPath); err != nil {
			return d.Errf("path of store file: %v", err)
		}
	}
	if d.NextArg() {
		return d.Errf("unexpected %q after the path: write %s", d.Val(), usage)
	}
	if d.NextBlock(0) {
		return d.Errf("unexpected %q: store file takes no block: write %s", d.Val(), usage)
	}
	return nil
}

// checkPath checks a path without placeholders.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("it is empty: write the name of a file, or leave it out for the default")
	case strings.ContainsRune(path, 0):
		return errors.New("it contains a NUL: write it without")
	case strings.HasSuffix(path, "/") || strings.HasSuffix(path, string(filepath.Separator)):
		return fmt.Errorf("%q names a directory: write the name of a file in it, such as %q", path, path+"store.db")
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ store.Opener          = (*Module)(nil)
)
