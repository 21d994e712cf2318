// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// world is everything that the quickstart starts.
type world struct {
	origin   string // of the Caddy site
	issuer   string
	resource string
	backend  string // URL of the demo MCP server
	emulator *entratest.Emulator

	server *http.Server
	dir    string // the data directory, which ends with the program
}

// start starts the MCP server, the emulator and Caddy, all on loopback.
func start(addr string, debug bool) (*world, error) {
	listen, err := freeLoopback(addr)
	if err != nil {
		return nil, err
	}
	w := &world{origin: "http://" + addr}
	w.issuer, w.resource = w.origin+"/oauth", w.origin+"/mcp"
	if err := w.startAll(listen, debug); err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

func (w *world) startAll(listen []string, debug bool) (err error) {
	if w.dir, err = os.MkdirTemp("", "mcp_oauth-quickstart"); err != nil {
		return err
	}
	w.emulator, err = entratest.Start(entratest.Options{RedirectURIs: []string{w.issuer + "/callback"}})
	if err != nil {
		return err
	}
	if err := w.startBackend(); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"ENTRA_TENANT_ID":     w.emulator.Tenant(),
		"ENTRA_CLIENT_ID":     w.emulator.ClientID(),
		"ENTRA_CLIENT_SECRET": w.emulator.ClientSecret(),
		"XDG_DATA_HOME":       w.dir,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	config, err := w.caddyConfig(listen, debug)
	if err != nil {
		return fmt.Errorf("preparing Caddy: %w", err)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting Caddy: %w", err)
	}
	return nil
}

// startBackend starts the MCP server that mcp_oauth protects.
func (w *world) startBackend() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("starting the MCP server: %w", err)
	}
	w.backend = "http://" + l.Addr().String()
	w.server = &http.Server{
		Handler: mcptest.NewServer(mcptest.ServerConfig{
			Issuer:   w.issuer,
			Audience: w.resource,
			JWKSURL:  w.issuer + "/jwks",
			Client:   &http.Client{Timeout: 10 * time.Second},
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() { _ = w.server.Serve(l) }()
	return nil
}

// stop ends everything that runs and removes what it kept.
func (w *world) stop() {
	_ = caddy.Stop()
	if w.server != nil {
		_ = w.server.Close()
	}
	if w.emulator != nil {
		w.emulator.Close()
	}
	if w.dir != "" {
		_ = os.RemoveAll(w.dir)
	}
}

// freeLoopback returns the addresses to listen on for addr, after it has seen that they
// are free: Caddy shares ports with whoever shares them, so it would not notice. The name
// localhost means both IPv4 and, where there is such, IPv6.
func freeLoopback(addr string) ([]string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("-addr %q is not host:port: %w", addr, err)
	}
	hosts := []string{host}
	if host == "localhost" {
		hosts = []string{"127.0.0.1", "::1"}
	} else if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("-addr %q is not a loopback address: the emulator signs anybody in", addr)
	}
	var free []string
	for _, h := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(h, port))
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("port %s is in use by another program: choose another one, such as -addr localhost:9090", port)
		case err != nil && h == "::1":
			continue // a machine without IPv6
		case err != nil:
			return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
		}
		l.Close()
		free = append(free, net.JoinHostPort(h, port))
	}
	return free, nil
}
