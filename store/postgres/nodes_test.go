// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgres_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres/postgrestest"
)

// patience bounds what can hang, far above what anything takes.
const patience = 60 * time.Second

// masterKey is the encryption_key of both nodes.
const masterKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// cluster is two nodes on one database behind a balancer without stickiness, which the
// test turns by hand so that each step falls on the node that it is about.
type cluster struct {
	t        *testing.T
	ctx      context.Context
	origin   string
	resource string
	database *postgrestest.Server
	nodes    []*caddyrun.Caddy

	mu      sync.Mutex
	visited []string // "<node> <path>" of every request
	choose  func(path string) int
	turn    atomic.Int64
}

// newCluster starts everything. words are added to the store's block.
func newCluster(t *testing.T, words string) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	c := &cluster{t: t, ctx: ctx, database: postgrestest.Start(t)}
	c.choose = func(string) int { return int(c.turn.Add(1)) }

	front := httptest.NewUnstartedServer(nil)
	c.origin = "http://" + front.Listener.Addr().String()
	c.resource = c.origin + "/mcp"
	upstream := entratest.Run(t, entratest.Options{RedirectURIs: []string{c.origin + "/oauth/callback"}})
	backend := httptest.NewServer(mcptest.NewServer(mcptest.ServerConfig{
		Issuer: c.origin + "/oauth", Audience: c.resource, JWKSURL: c.origin + "/oauth/jwks", Client: &http.Client{},
	}))
	t.Cleanup(backend.CloseClientConnections)

	var proxies []http.Handler
	for range 2 {
		addr := caddyrun.FreeAddr(t)
		c.nodes = append(c.nodes, caddyrun.NewHome(t).Start(t, "{\ndefault_bind 127.0.0.1\nskip_install_trust\n}\n"+
			"http://:"+strings.TrimPrefix(addr, "127.0.0.1:")+" {\nmcp_oauth {\nresource "+c.resource+"\nencryption_key "+masterKey+
			"\nstore postgres "+c.database.DSN("postgres")+" {\n"+words+"\n}\nprovider entra {\ntenant "+upstream.Tenant()+
			"\nclient_id "+upstream.ClientID()+"\nclient_secret "+upstream.ClientSecret()+"\nauthority "+upstream.URL()+
			"\n}\n}\nreverse_proxy /mcp* "+strings.TrimPrefix(backend.URL, "http://")+"\n}\n"))
		proxies = append(proxies, proxyTo(addr))
	}
	front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		node := c.pick(r.URL.Path)
		proxies[node].ServeHTTP(w, r)
	})
	front.Start()
	t.Cleanup(front.CloseClientConnections)
	return c
}

// proxyTo forwards to a node and keeps the Host that the client wrote.
func proxyTo(addr string) http.Handler {
	target := &url.URL{Scheme: "http", Host: addr}
	// A transport of its own: servers of other tests close connections of the default one when they end.
	return &httputil.ReverseProxy{Transport: new(http.Transport), FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
}

func (c *cluster) pick(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	node := c.choose(path) % 2
	c.visited = append(c.visited, fmt.Sprintf("%d %s", node, path))
	return node
}

// route sends requests to the nodes by path from now on.
func (c *cluster) route(choose func(path string) int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.choose = choose
}
