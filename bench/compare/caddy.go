// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// site is what the Caddyfiles of the systems differ in.
type site struct {
	store     string // of mcp_oauth, which is absent where it is ""
	transport bool   // the recommended block
	forward   bool   // forward_auth
	handler   bool   // one that does nothing to speak of
	header    bool   // a text as long as a JWT in the place of the client's token
}

// siteText is a Caddyfile with nothing else in the way: no access log, no TLS.
const siteText = `{
	admin %[1]s
	auto_https off
	persist_config off
	grace_period 1s
	log {
		level WARN
	}
}
http://%[2]s {
	bind 127.0.0.1
	%[3]s
	reverse_proxy /mcp* %[4]s {
		%[5]s
	}
}
`

// guardBlock is the one of README.md with a store.
const guardBlock = `mcp_oauth {
		resource http://%[1]s/mcp
		provider entra {
			tenant %[2]s
			client_id %[3]s
			client_secret %[4]s
			authority %[5]s
		}
		encryption_key %[6]s
		store %[7]s
	}`

// jwtLength is about that of the JWT which the guard sends to the backend: RS256, with the
// claims of the emulator's person.
const jwtLength = 1100

const forwardBlock = `forward_auth %s {
		uri /
		copy_headers Authorization
	}`

// caddyWith starts a Caddy with a site.
func caddyWith(c site) func(*world, *system, int) error {
	return func(w *world, s *system, n int) error {
		text, err := w.caddyfile(c, s, n)
		if err != nil {
			return err
		}
		file, err := w.file("Caddyfile", text)
		if err != nil {
			return err
		}
		p, err := w.spawn("caddy", "run", "--config", file, "--adapter", "caddyfile")
		if err != nil {
			return err
		}
		s.own = append(s.own, p)
		if err := s.await(p); err != nil {
			return err
		}
		if s.tokenFile == "" {
			return nil
		}
		return s.readTokens(p)
	}
}

// caddyfile is the Caddyfile of a system; it fills the store where that has to be first.
func (w *world) caddyfile(c site, s *system, n int) (string, error) {
	port, err := w.port()
	if err != nil {
		return "", err
	}
	admin, err := w.port()
	if err != nil {
		return "", err
	}
	s.addr, s.admin = fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", admin)
	before, block := "", ""
	if c.transport {
		block = fmt.Sprintf("transport http {\n\t\t\tkeepalive_idle_conns_per_host %d\n\t\t}", w.idle)
	}
	if c.handler {
		before = "vars a b"
	}
	if c.header {
		s.replaces = true
		block = "header_up Authorization \"Bearer " + strings.Repeat("x", jwtLength) + "\""
	}
	if c.forward {
		before = fmt.Sprintf(forwardBlock, w.authAddr)
		s.guarded, s.own = true, append(s.own, w.auth)
	}
	if c.store != "" {
		line, err := w.storeLine(c.store, s, n)
		if err != nil {
			return "", err
		}
		before = fmt.Sprintf(guardBlock, s.addr, entratest.DefaultTenant, entratest.DefaultClientID,
			entratest.DefaultClientSecret, w.emulator.URL(), w.key, line)
	}
	return fmt.Sprintf(siteText, s.admin, s.addr, before, w.addr, block), nil
}

// storeLine prepares a store with n people and returns the words after `store`.
func (w *world) storeLine(name string, s *system, n int) (string, error) {
	tokens, err := w.file("tokens", "")
	if err != nil {
		return "", err
	}
	s.guarded, s.tokenFile = true, tokens
	origin := "http://" + s.addr
	seed := []string{origin + "/oauth", origin + callPath, w.key, tokens, strconv.Itoa(n)}
	switch name {
	case "memory":
		return "seeded " + strings.Join(seed, " "), nil
	case "redis":
		url, err := w.redis(s)
		if err != nil {
			return "", err
		}
		return "redis " + url, w.fill(append(seed, "redis", url))
	}
	path := filepath.Join(w.dir, s.addr, "store.db")
	return "file " + path, w.fill(append(seed, "file", path))
}

// fill runs the role seed.
func (w *world) fill(args []string) error {
	p, err := w.spawn("seed", args...)
	if err != nil {
		return err
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("seeding the store: %w\n%s", err, p.errors())
	}
	return nil
}

// redis starts a Redis for one system, without persistence: its work is the system's.
func (w *world) redis(s *system) (string, error) {
	port, err := w.port()
	if err != nil {
		return "", err
	}
	p, err := w.spawn("keep", "redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no")
	if err != nil {
		return "", err
	}
	s.own = append(s.own, p)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	return "redis://" + addr + "/0", (&system{addr: addr}).await(p)
}

// readTokens reads what seeding wrote. The memory store is seeded when Caddy opens it.
func (s *system) readTokens(p *process) error {
	text := ""
	err := poll(func() bool {
		b, err := os.ReadFile(s.tokenFile)
		text = string(b)
		return err == nil && strings.HasSuffix(text, "\n")
	})
	if err != nil {
		return fmt.Errorf("the store was not seeded: %w\n%s", err, p.errors())
	}
	s.tokens = strings.Fields(text)
	return nil
}
