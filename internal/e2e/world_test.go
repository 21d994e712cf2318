// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// anna is who signs in: the first user of the emulator.
const anna = "aaaaaaaa-0000-4000-8000-000000000001"

// world is one company: a provider, an MCP server, and Caddy between them.
type world struct {
	t   testing.TB
	ctx context.Context // ends with the test, or before where the test hangs

	addr     string // host and port that Caddy listens on
	origin   string
	issuer   string
	resource string

	emulator *upstream
	backend  *backend
	home     *caddyrun.Home
	caddy    *caddyrun.Caddy

	transport http.RoundTripper // of clients and browsers
	signIn    string            // further words of the provider block
}

// newWorld returns a world in which the provider and the MCP server run, and Caddy does
// not yet.
func newWorld(t testing.TB) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	own := &http.Transport{}
	t.Cleanup(own.CloseIdleConnections)
	w := &world{t: t, ctx: ctx, addr: caddyrun.FreeAddr(t), transport: own, home: caddyrun.NewHome(t)}
	w.origin = "http://" + w.addr
	w.issuer, w.resource = w.origin+"/oauth", w.origin+"/mcp"
	w.emulator = newUpstream(t, w.issuer+"/callback")
	w.emulator.start(t)
	w.backend = newBackend(t, w.issuer, w.resource)
	return w
}

// startWorld returns a world whose Caddy serves the minimal configuration.
func startWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.start(w.caddyfile(""))
	return w
}

// start runs Caddy with text.
func (w *world) start(text string) {
	w.t.Helper()
	(&http.Client{Transport: w.transport}).CloseIdleConnections()
	w.caddy = w.home.Start(w.t, text)
}

// reload makes the running Caddy serve text.
func (w *world) reload(text string) {
	w.t.Helper()
	if out, err := w.caddy.Reload(w.t, text); err != nil {
		w.t.Fatalf("caddy reload: %v\n%s\n%s", err, out, w.caddy.Output())
	}
}

// caddyfile is the configuration that most tests use, with words added to the block.
func (w *world) caddyfile(words string) string {
	return globals("") + w.site(words)
}

func (w *world) site(words string) string {
	return w.origin + " {\n" + block("resource "+w.resource+"\n"+w.entra()+words) +
		"reverse_proxy /mcp* " + w.backend.addr() + "\n}\n"
}

// globals is the options block of every Caddyfile here: loopback alone.
func globals(more string) string {
	return "{\ndefault_bind 127.0.0.1\nskip_install_trust\n" + more + "}\n"
}

// block is one mcp_oauth directive.
func block(words string) string { return "mcp_oauth {\n" + words + "}\n" }

// entra is the provider block for the emulator.
func (w *world) entra() string {
	return "provider entra {\ntenant " + w.emulator.Tenant() + "\nclient_id " + w.emulator.ClientID() +
		"\nclient_secret " + w.emulator.ClientSecret() + "\nauthority http://" + w.emulator.addr + "\n" + w.signIn + "}\n"
}

// client returns an installation of the official MCP client. change may alter it.
func (w *world) client(change func(*mcptest.ClientConfig)) *mcptest.Client {
	w.t.Helper()
	c := mcptest.ClientConfig{Endpoint: w.resource, HTTP: &http.Client{Transport: w.transport}}
	if change != nil {
		change(&c)
	}
	client, err := mcptest.NewClient(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

// connect opens an MCP session that ends with the test.
func (w *world) connect(c *mcptest.Client) *mcp.ClientSession {
	w.t.Helper()
	s, err := c.Connect(w.ctx)
	if err != nil {
		w.t.Fatalf("connecting: %v\n%s", err, w.caddy.Output())
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

// whoami calls the tool of that name.
func (w *world) whoami(s *mcp.ClientSession) mcptest.Identity {
	w.t.Helper()
	who, err := mcptest.Call[mcptest.Identity](w.ctx, s, "whoami", nil)
	if err != nil {
		w.t.Fatalf("whoami: %v\n%s", err, w.caddy.Output())
	}
	return who
}
