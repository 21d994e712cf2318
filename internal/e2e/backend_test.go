// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// backend is the MCP server behind Caddy, with a record of what reached it.
type backend struct {
	*httptest.Server

	mu   sync.Mutex
	seen []arrival
}

// arrival is one request as it reached the backend.
type arrival struct {
	method, uri string
	header      http.Header
}

// jwt is the bearer token of the request; "" without one.
func (a arrival) jwt() string {
	token, ok := strings.CutPrefix(a.header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// newBackend starts a demo MCP server for a resource of an issuer.
func newBackend(t testing.TB, issuer, audience string) *backend {
	return record(t, mcptest.NewServer(mcptest.ServerConfig{
		Issuer: issuer, Audience: audience, JWKSURL: issuer + "/jwks", Client: &http.Client{},
	}))
}

// record starts a server that notes each request before next answers it.
func record(t testing.TB, next http.Handler) *backend {
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.seen = append(b.seen, arrival{method: r.Method, uri: r.RequestURI, header: r.Header.Clone()})
		b.mu.Unlock()
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(b.CloseClientConnections)
	return b
}

// addr is host and port.
func (b *backend) addr() string { return strings.TrimPrefix(b.URL, "http://") }

// arrivals returns what reached the backend so far, and forgets it.
func (b *backend) arrivals() []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.seen
	b.seen = nil
	return seen
}
