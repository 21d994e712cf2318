// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// system is something that stands between the load and the backend, or nothing.
type system struct {
	name string
	// base is what it is compared with in the same round.
	base string
	// guarded systems refuse all tokens but theirs.
	guarded bool
	// replaces tells that the backend sees another token than the client's, whoever asks.
	replaces bool
	// many says that the load uses all its tokens and not one.
	many  bool
	addr  string
	admin string // of a Caddy
	// own are the processes whose work is the system's.
	own       []*process
	tokens    []string
	tokenFile string
	// warmed is when the last use of all tokens began.
	warmed time.Time
}

// kind is a system before it is started.
type kind struct {
	name, base string
	// needs is a program or a module without which the system is left out.
	program, module string
	start           func(*world, *system, int) error
}

// kinds are all systems. Those whose name ends in -many get as many distinct tokens as
// the command line says; with them even a proxy that ignores tokens has more to read, so
// they are compared with plain Caddy under the same load.
var kinds = []kind{
	{name: "direct", base: "caddy", start: startDirect},
	{name: "caddy", base: "caddy", start: caddyWith(site{})},
	{name: "caddy-handler", base: "caddy", start: caddyWith(site{handler: true})},
	{name: "caddy-many", base: "caddy-many", start: caddyWith(site{})},
	{name: "caddy-header", base: "caddy", start: caddyWith(site{header: true})},
	{name: "caddy-transport", base: "caddy", start: caddyWith(site{transport: true})},
	{name: "guard-memory-1", base: "caddy", start: caddyWith(site{store: "memory"})},
	{name: "guard-memory-many", base: "caddy-many", start: caddyWith(site{store: "memory"})},
	{name: "guard-file-1", base: "caddy", start: caddyWith(site{store: "file"})},
	{name: "guard-file-many", base: "caddy-many", start: caddyWith(site{store: "file"})},
	{name: "guard-redis-1", base: "caddy", program: "redis-server", module: "redis", start: caddyWith(site{store: "redis"})},
	{name: "guard-redis-many", base: "caddy-many", program: "redis-server", module: "redis", start: caddyWith(site{store: "redis"})},
	{name: "guard-transport", base: "caddy-transport", start: caddyWith(site{store: "memory", transport: true})},
	{name: "forward_auth", base: "caddy", start: caddyWith(site{forward: true})},
	{name: "nginx", base: "caddy", program: "nginx", start: nginxWith(false)},
	{name: "nginx-auth_request", base: "caddy", program: "nginx", start: nginxWith(true)},
	{name: "nethttp", base: "caddy", start: startNetHTTP},
}

// available says why a system cannot be measured here, or "".
func (k kind) missing() string {
	if k.module != "" {
		if _, err := caddy.GetModule(storeModule + k.module); err != nil {
			return "this build has no store " + k.module
		}
	}
	if k.program != "" {
		if _, err := exec.LookPath(k.program); err != nil {
			return k.program + " is not installed"
		}
	}
	return ""
}

// wanted are the kinds that the command line or, where it names none, the mode names,
// with what they are compared with. What is not available is left out and said.
func (w *world) wanted(mode ...string) ([]kind, error) {
	names := w.systems
	if len(names) == 0 {
		names = mode
	}
	chosen := map[string]bool{}
	for _, name := range names {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no system %q", name)
		}
		chosen[name], chosen[kinds[i].base] = true, true
		if kinds[i].base == "caddy-transport" {
			chosen["caddy"] = true
		}
	}
	var out []kind
	for _, k := range kinds {
		if len(chosen) > 0 && !chosen[k.name] {
			continue
		}
		if why := k.missing(); why != "" {
			w.say("%s is left out: %s", k.name, why)
			continue
		}
		out = append(out, k)
	}
	return out, nil
}

// start starts a system with n tokens and checks that it does what it is said to do.
func (w *world) start(ctx context.Context, k kind, n int) (*system, error) {
	s := &system{name: k.name, base: k.base, many: strings.HasSuffix(k.name, "-many")}
	if err := k.start(w, s, n); err != nil {
		return nil, fmt.Errorf("starting %s: %w", k.name, err)
	}
	if s.tokens == nil {
		if err := s.anyTokens(w, n); err != nil {
			return nil, err
		}
	}
	return s, s.check(ctx)
}

// anyTokens gives a system that does not look at tokens as many as others have.
func (s *system) anyTokens(w *world, n int) (err error) {
	s.tokens = []string{w.good}
	for len(s.tokens) < n {
		s.tokens = append(s.tokens, tokenPrefix+invent(w.random))
	}
	s.tokenFile, err = w.file("tokens", strings.Join(s.tokens, "\n")+"\n")
	return err
}

// stop ends the processes of a system that are its alone.
func (s *system) stop(w *world) {
	for _, p := range s.own {
		if p != w.backend && p != w.auth {
			p.stop()
		}
	}
}

// say tells how the run goes on.
func (w *world) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func startDirect(w *world, s *system, _ int) error {
	s.addr, s.own = w.addr, []*process{w.backend}
	return nil
}

func startNetHTTP(w *world, s *system, _ int) error {
	p, addr, err := w.listening("nethttp", "http://"+w.addr)
	s.addr, s.own = addr, []*process{p}
	return err
}
