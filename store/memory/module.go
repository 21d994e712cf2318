// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func init() {
	caddy.RegisterModule(Module{})
}

// Module keeps all state in memory. Sign-ins survive a reload of the configuration and
// end with the process; only one process can use the state. It is meant for trials and
// tests.
type Module struct {
	// MaxRecords is the largest number of records. A full store refuses new sign-ins and
	// registrations and keeps those it has. Default: 200000. All sites of a process
	// share one memory store, and the first that opens it decides.
	MaxRecords int `json:"max_records,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.mcp_oauth.stores.memory",
		New: func() caddy.Module { return new(Module) },
	}
}

// Validate checks what a JSON configuration may have got wrong.
func (m *Module) Validate() error {
	if m.MaxRecords == 0 {
		return nil
	}
	return checkMaxRecords(m.MaxRecords)
}

// Identity implements store.Opener: a process has one memory store.
func (*Module) Identity() string { return "memory" }

// Open implements store.Opener.
func (m *Module) Open(_ context.Context, env store.Env) (store.Store, error) {
	return New(Options{MaxRecords: m.MaxRecords}, env), nil
}

// MasterKey returns 32 new random bytes. The caller keeps them as long as the store,
// since nothing sealed under them outlives it.
func (*Module) MasterKey(_ context.Context, env store.Env) ([]byte, error) {
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
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		switch d.Val() {
		case "max_records":
			if err := m.unmarshalMaxRecords(d); err != nil {
				return err
			}
		default:
			return d.Errf("unrecognized option %q of store memory", d.Val())
		}
	}
	return nil
}

func (m *Module) unmarshalMaxRecords(d *caddyfile.Dispenser) error {
	if m.MaxRecords != 0 {
		return d.Err("max_records is already set")
	}
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return d.Errf("max_records must be a whole number, not %q", text)
	}
	if err := checkMaxRecords(n); err != nil {
		return d.WrapErr(err)
	}
	if d.NextBlock(1) {
		return d.Errf("max_records takes no block")
	}
	m.MaxRecords = n
	return nil
}

func checkMaxRecords(n int) error {
	if n < 1 {
		return fmt.Errorf("max_records must be at least 1, not %d", n)
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Module          = (*Module)(nil)
	_ caddy.Validator       = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ store.Opener          = (*Module)(nil)
)
