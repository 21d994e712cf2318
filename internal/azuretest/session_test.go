// SPDX-License-Identifier: Apache-2.0

package azuretest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/mcpoauth/caddy-mcp-oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/azuretest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
	_ "github.com/mcpoauth/caddy-mcp-oauth/store/azuretable"
	_ "github.com/mcpoauth/caddy-mcp-oauth/store/cosmos"
)

func TestMain(m *testing.M) { caddyrun.Main(m) }

// patience bounds what can hang, far above what anything takes.
const patience = 3 * time.Minute

// A person signs in, calls, refreshes, and goes on after the server was killed. The
// requests to the service are counted, since each has a price: docs/stores.md has the
// numbers.
func TestSession(t *testing.T) {
	for _, test := range []struct {
		name  string
		start func(t *testing.T) (service *azuretest.Service, words string)
		// What one step may cost at most.
		login, refresh, cold int
	}{
		{"azure_table", func(t *testing.T) (*azuretest.Service, string) {
			s := azuretest.Proxy(t, azuretest.Azurite(t), nil)
			return s, fmt.Sprintf("azure_table {\nconnection_string \"AccountName=%s;AccountKey=%s;TableEndpoint=%s\"\n}\n", azuretest.Account, azuretest.Key, s.URL)
		}, 26, 7, 1},
		{"cosmos", func(t *testing.T) (*azuretest.Service, string) {
			s := azuretest.Cosmos(t)
			return s, fmt.Sprintf("cosmos {\nconnection_string \"AccountEndpoint=%s;AccountKey=%s\"\n}\n", s.URL, azuretest.Key)
		}, 18, 7, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			service, words := test.start(t)
			w := newWorld(t, "store "+words)
			session, err := w.client.Connect(w.ctx)
			if err != nil {
				t.Fatalf("connecting: %v\n%s", err, w.caddy.Output())
			}
			defer session.Close()
			before := service.Requests()
			call := func() {
				t.Helper()
				if _, err := mcptest.Call[mcptest.Identity](w.ctx, session, "whoami", nil); err != nil {
					t.Fatalf("whoami: %v\n%s", err, w.caddy.Output())
				}
			}
			for range 5 {
				call()
			}
			wantRequests(t, "calls", service.Requests()-before, 0)

			before = service.Requests()
			other, err := mcptest.NewClient(w.config)
			if err != nil {
				t.Fatal(err)
			}
			second, err := other.Connect(w.ctx)
			if err != nil {
				t.Fatalf("connecting: %v\n%s", err, w.caddy.Output())
			}
			defer second.Close()
			wantRequests(t, "a sign-in", service.Requests()-before, test.login)

			before = service.Requests()
			if _, err := w.client.Tokens.Refresh(); err != nil {
				t.Fatal(err)
			}
			wantRequests(t, "a refresh", service.Requests()-before, test.refresh)
			before = service.Requests()
			call()
			wantRequests(t, "a cold look-up", service.Requests()-before, test.cold)

			w.caddy.Kill(t)
			w.caddy = w.home.Start(t, w.text)
			call()
		})
	}
}

func wantRequests(t *testing.T, what string, n, most int) {
	t.Helper()
	t.Logf("%s: %d requests", what, n)
	if n > most {
		t.Errorf("%s cost %d requests, more than %d", what, n, most)
	}
}

// world is a provider, an MCP server, and Caddy between them.
type world struct {
	ctx    context.Context
	text   string
	home   *caddyrun.Home
	caddy  *caddyrun.Caddy
	config mcptest.ClientConfig
	client *mcptest.Client
}

func newWorld(t *testing.T, words string) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	own := &http.Transport{}
	t.Cleanup(own.CloseIdleConnections)
	origin := "http://" + caddyrun.FreeAddr(t)
	entra := entratest.Run(t, entratest.Options{RedirectURIs: []string{origin + "/oauth/callback"}})
	backend := httptest.NewServer(mcptest.NewServer(mcptest.ServerConfig{
		Issuer: origin + "/oauth", Audience: origin + "/mcp", JWKSURL: origin + "/oauth/jwks", Client: &http.Client{Transport: own},
	}))
	t.Cleanup(backend.Close)
	w := &world{ctx: ctx, home: caddyrun.NewHome(t)}
	w.text = "{\ndefault_bind 127.0.0.1\nskip_install_trust\n}\n" + origin + " {\nmcp_oauth {\nresource " + origin + "/mcp\n" +
		"encryption_key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" + words +
		"provider entra {\ntenant " + entra.Tenant() + "\nclient_id " + entra.ClientID() + "\nclient_secret " + entra.ClientSecret() +
		"\nauthority " + entra.URL() + "\n}\n}\nreverse_proxy /mcp* " + strings.TrimPrefix(backend.URL, "http://") + "\n}\n"
	w.caddy = w.home.Start(t, w.text)
	w.config = mcptest.ClientConfig{Endpoint: origin + "/mcp", HTTP: &http.Client{Transport: own}, Browser: &mcptest.Browser{Transport: own}}
	var err error
	if w.client, err = mcptest.NewClient(w.config); err != nil {
		t.Fatal(err)
	}
	return w
}
