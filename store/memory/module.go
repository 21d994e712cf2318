// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func init() {
	caddy.RegisterModule(Module{})
}

const where = "store memory"

// Module keeps all state in memory. Sign-ins survive a reload of the configuration and
// end with the process; only one process can use the state. It is meant for trials and
// tests.
type Module struct {
	// MaxRecords is the largest number of records, at least 1. {env.*} and {file.*} may
	// occur anywhere in it. A full store refuses new sign-ins and registrations and keeps
	// those it has. Default: 200000. All sites of a process share one memory store, and
	// the first that opens it decides.
	MaxRecords caddyhttp.WeakString `json:"max_records,omitempty"`

	// maxRecords is MaxRecords without placeholders; 0 is the default.
	maxRecords int
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.mcp_oauth.stores.memory",
		New: func() caddy.Module { return new(Module) },
	}
}

// words are the words of the block.
func (m *Module) words() []surface.Word {
	return []surface.Word{{
		Usage: "max_records <n>", Check: checkMaxRecords, Value: (*string)(&m.MaxRecords),
		// The text has passed checkMaxRecords, so it is a number.
		Resolved: func(v []string) { m.maxRecords, _ = strconv.Atoi(v[0]) },
	}}
}

// Provision resolves the number of records.
func (m *Module) Provision(caddy.Context) error {
	m.maxRecords = 0
	return surface.Resolve(where, m.words())
}

// Identity implements store.Opener: a process has one memory store.
func (*Module) Identity() string { return "memory" }

// Open implements store.Opener. Provision must have run.
func (m *Module) Open(_ context.Context, env store.Env) (store.Store, error) {
	return New(Options{MaxRecords: m.maxRecords}, env), nil
}

// MasterKey returns 32 new random bytes. The caller keeps them as long as the store,
// since nothing sealed under them outlives it.
func (*Module) MasterKey(_ context.Context, _ func(context.Context) (store.Store, error), env store.Env) ([]byte, error) {
	key := make([]byte, 32)
	if _, err := io.ReadFull(env.Rand, key); err != nil {
		return nil, fmt.Errorf("making a master key: %w", err)
	}
	return key, nil
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	store memory {
//		max_records <n>
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return surface.Unmarshal(d, where, m.words())
}

// checkMaxRecords checks a number without placeholders.
func checkMaxRecords(text string) error {
	if n, err := strconv.Atoi(text); err != nil || n < 1 {
		return fmt.Errorf("%q is not a number of records: write a whole number of at least 1, such as 200000", text)
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Module          = (*Module)(nil)
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ store.Opener          = (*Module)(nil)
)
