// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// loopback is an address for a demo that knows its own URL before it listens.
func loopback(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("localhost:%d", caddyrun.FreePort(t))
}

// Both ways to run the command, one after the other since Caddy is one per process.
func TestRun(t *testing.T) {
	addr := loopback(t)
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-check", "-addr", addr}, &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.HasSuffix(out.String(), "\nEverything works.\n") {
		t.Errorf("-check printed\n%s", out.String())
	}
	for _, secret := range []string{"mcpo_at_", "mcpo_rt_", "mcpo_ac_", entratest.DefaultClientSecret} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("-check printed a secret: %s…", secret)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out.Reset()
	if err := run(ctx, []string{"-addr", addr}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "claude mcp add --transport http demo http://"+addr+"/mcp\n") {
		t.Errorf("printed\n%s", out.String())
	}
}

func TestRefusedAddresses(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, err := net.SplitHostPort(busy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"localhost:" + port: "in use",
		"127.0.0.1:" + port: "in use",
		"0.0.0.0:8080":      "not a loopback address",
		"example.com:8080":  "not a loopback address",
		":8080":             "not a loopback address",
		"localhost":         "not host:port",
	} {
		if err := run(t.Context(), []string{"-addr", addr}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("-addr %s: %v", addr, err)
		}
	}
	if err := run(t.Context(), []string{"serve"}, io.Discard, io.Discard); err == nil {
		t.Error("an unknown argument was accepted")
	}
}

// The Caddyfile that runs differs from that of README.md in URLs and one line alone.
func TestLocalCaddyfile(t *testing.T) {
	t.Parallel()
	emulator := entratest.New(entratest.Options{BaseURL: "http://127.0.0.1:2"})
	w := &world{origin: "http://localhost:1", backend: "http://127.0.0.1:3", emulator: emulator}
	const want = `http://localhost:1 {
	mcp_oauth {
		resource http://localhost:1/mcp
		provider entra {
			tenant {env.ENTRA_TENANT_ID}
			client_id {env.ENTRA_CLIENT_ID}
			client_secret {env.ENTRA_CLIENT_SECRET}
			authority http://127.0.0.1:2
		}
	}
	reverse_proxy /mcp* 127.0.0.1:3
}
`
	if got := w.local(); got != want {
		t.Errorf("the local Caddyfile is\n%s", got)
	}
}
