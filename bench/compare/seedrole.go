// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// storeModule is where the stores of the directive are among Caddy's modules.
const storeModule = "http.mcp_oauth.stores."

// playSeed fills a store that outlives the process, before the server opens it. Its
// arguments are those of a seeding and the words after `store`.
func playSeed(args []string) error {
	n, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	s := seeding{issuer: args[0], resource: args[1], key: args[2], tokens: args[3], n: n}
	opener, err := openerOf(args[5:])
	if err != nil {
		return err
	}
	ctx := context.Background()
	st, err := opener.Open(ctx, store.Env{Now: clock.System, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if err := s.into(ctx, st); err != nil {
		return err
	}
	return st.Close()
}

// openerOf makes the store module that a line of a Caddyfile names.
func openerOf(words []string) (store.Opener, error) {
	info, err := caddy.GetModule(storeModule + words[0])
	if err != nil {
		return nil, err
	}
	m := info.New()
	var line []caddyfile.Token
	for _, w := range words {
		line = append(line, caddyfile.Token{File: "store", Line: 1, Text: w})
	}
	if u, ok := m.(caddyfile.Unmarshaler); ok {
		if err := u.UnmarshalCaddyfile(caddyfile.NewDispenser(line)); err != nil {
			return nil, err
		}
	}
	if p, ok := m.(caddy.Provisioner); ok {
		ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
		defer cancel()
		if err := p.Provision(ctx); err != nil {
			return nil, err
		}
	}
	opener, ok := m.(store.Opener)
	if !ok {
		return nil, fmt.Errorf("%s is no store", words[0])
	}
	return opener, nil
}
