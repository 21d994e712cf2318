// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// upstream is the emulator behind a listener of the test's own, which counts connections
// and can be absent.
type upstream struct {
	*entratest.Emulator

	addr        string
	connections atomic.Int64
	listener    net.Listener
	server      *http.Server
	wrap        func(http.Handler) http.Handler // before start
}

// newUpstream returns a provider that does not listen yet.
func newUpstream(t testing.TB, redirectURIs ...string) *upstream {
	t.Helper()
	u := &upstream{addr: caddyrun.FreeAddr(t)}
	u.Emulator = entratest.New(entratest.Options{BaseURL: "http://" + u.addr, RedirectURIs: redirectURIs})
	t.Cleanup(u.stop)
	return u
}

// start makes the provider reachable.
func (u *upstream) start(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", u.addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: u.Emulator, ReadHeaderTimeout: time.Minute, ConnContext: u.count}
	if u.wrap != nil {
		server.Handler = u.wrap(u.Emulator)
	}
	u.listener, u.server = l, server
	go func() { _ = server.Serve(l) }()
}

func (u *upstream) count(ctx context.Context, _ net.Conn) context.Context {
	u.connections.Add(1)
	return ctx
}

// stop takes the provider away; its people, codes and tokens stay.
func (u *upstream) stop() {
	if u.server != nil {
		_ = u.listener.Close() // a server that does not serve yet would leave it open
		_ = u.server.Close()
		u.server = nil
	}
}
