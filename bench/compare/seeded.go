// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"expvar"
	"fmt"
	"runtime/debug"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

func init() { caddy.RegisterModule(seeded{}) }

// reads counts the reads of the store, for the world at Caddy's /debug/vars.
var reads = expvar.NewInt(readsVar)

const readsVar = "compare_store_reads"

// seeded is the memory store with people who are signed in already: nobody else can fill
// it, since it ends with the process.
type seeded struct {
	Issuer   string `json:"issuer,omitempty"`
	Resource string `json:"resource,omitempty"`
	Key      string `json:"key,omitempty"`
	Tokens   string `json:"tokens,omitempty"`
	N        int    `json:"n,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (seeded) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: storeModule + "seeded", New: func() caddy.Module { return new(seeded) }}
}

// UnmarshalCaddyfile takes `store seeded <issuer> <resource> <key> <tokens> <n>`.
func (s *seeded) UnmarshalCaddyfile(d *caddyfile.Dispenser) (err error) {
	d.Next()
	args := d.RemainingArgs()
	if len(args) != 5 {
		return d.ArgErr()
	}
	s.Issuer, s.Resource, s.Key, s.Tokens = args[0], args[1], args[2], args[3]
	s.N, err = strconv.Atoi(args[4])
	return err
}

// Identity implements store.Opener.
func (s *seeded) Identity() string { return "seeded " + s.Tokens }

// Open implements store.Opener.
func (s *seeded) Open(ctx context.Context, env store.Env) (store.Store, error) {
	st := counted{memory.New(memory.Options{MaxRecords: 4*s.N + 1000}, env)}
	in := seeding{issuer: s.Issuer, resource: s.Resource, key: s.Key, tokens: s.Tokens, n: s.N}
	if err := in.into(ctx, st); err != nil {
		return nil, fmt.Errorf("seeding: %w", err)
	}
	// What seeding left behind is not the server's.
	debug.FreeOSMemory()
	return st, nil
}

// counted is the memory store with its reads counted.
type counted struct{ *memory.Store }

// Get implements store.Store.
func (c counted) Get(ctx context.Context, k store.Key) (store.Record, error) {
	reads.Add(1)
	return c.Store.Get(ctx, k)
}
