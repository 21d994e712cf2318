// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// inCaddy is a Caddy in this process that serves on a socket.
type inCaddy struct {
	t            *testing.T
	socket, logs string
	client       http.Client
}

func newInCaddy(t *testing.T) *inCaddy {
	t.Helper()
	// Socket paths are short on some systems, shorter than the test's own folder.
	dir, err := os.MkdirTemp("", "mcpo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &inCaddy{t: t, socket: filepath.Join(dir, "s"), logs: filepath.Join(dir, "log")}
	c.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.socket)
	}}
	t.Cleanup(c.stop)
	return c
}

func (c *inCaddy) stop() {
	c.client.CloseIdleConnections()
	if err := caddy.Stop(); err != nil {
		c.t.Error(err)
	}
}

// load loads a configuration whose sites all have one handler of ours and a backend.
func (c *inCaddy) load(bodies ...string) error {
	c.t.Helper()
	var routes []any
	for _, body := range bodies {
		out, err := adapt(c.t, inSite(body))
		if err != nil {
			c.t.Fatal(err)
		}
		var ours map[string]any
		if err := json.Unmarshal(handlersIn(c.t, out)[0], &ours); err != nil {
			c.t.Fatal(err)
		}
		ours["handler"] = "mcp_oauth"
		routes = append(routes, map[string]any{
			"match":  []any{map[string]any{"host": []string{hostOf(body)}}},
			"handle": []any{ours, map[string]any{"handler": "static_response", "body": "{http.auth.user.id} {http.vars.mcp_oauth.resource}"}},
		})
	}
	config, err := json.Marshal(map[string]any{
		"admin": map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{
			"level": "DEBUG", "writer": map[string]any{"output": "file", "filename": c.logs},
		}}},
		"apps": map[string]any{"http": map[string]any{"servers": map[string]any{"s": map[string]any{
			"listen": []string{"unix/" + c.socket}, "automatic_https": map[string]any{"disable": true},
			"logs": map[string]any{}, "routes": routes,
		}}}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return caddy.Load(config, true)
}

func hostOf(body string) string {
	_, rest, _ := strings.Cut(body, "https://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

func (c *inCaddy) get(url string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequest(http.MethodGet, strings.Replace(url, "https:", "http:", 1), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer good")
	resp, err := c.client.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// siteOf finds a site by its issuer.
func siteOf(t *testing.T, issuer string) *site {
	t.Helper()
	var found *site
	sitePool.Range(func(k, v any) bool {
		if k.(siteKey).issuer == issuer {
			found = v.(*site)
		}
		return true
	})
	return found
}

// The whole life in Caddy itself: start, reloads of every kind, one that fails, stop.
func TestLifeInCaddy(t *testing.T) {
	c := newInCaddy(t)
	const host, issuer, url = "real.example.com", "https://real.example.com/oauth", "https://real.example.com/mcp"
	if err := c.load(sited(host)); err != nil {
		t.Fatal(err)
	}
	first := siteOf(t, issuer)
	if first == nil || first.current.Load() == nil {
		t.Fatal("the site was not started")
	}
	admitGood(&Handler{instance: first.current.Load()})
	if status, body := c.get(url + "?x=1"); status != http.StatusOK || body != "jane https://real.example.com/mcp" {
		t.Errorf("%d %s", status, body)
	}
	before := first.current.Load()
	if err := c.load(sited(host, "login {\ntitle New\n}"), sited("second.example.com")); err != nil {
		t.Fatal(err)
	}
	if siteOf(t, issuer) != first || references(first) != 1 || first.current.Load() == before || len(first.running) != 1 {
		t.Errorf("after a reload: %d references, %d running", references(first), len(first.running))
	}
	if status, _ := c.get(url); status != http.StatusOK {
		t.Errorf("after a reload: %d", status)
	}
	before = first.current.Load()
	if err := c.load(sited(host), sited(host, "login {\ntitle Other\n}")); err == nil || !strings.Contains(err.Error(), `differ in "login"`) {
		t.Errorf("a wrong configuration was loaded: %v", err)
	}
	if references(first) != 1 || first.current.Load() != before || storeReferences(first) != 2 {
		t.Errorf("after a failed reload: %d references, %d of the store", references(first), storeReferences(first))
	}
	if err := c.load(sited(host, keyA)); err != nil {
		t.Fatal(err)
	}
	other := siteOf(t, issuer)
	if other == first || references(first) != 0 || storeReferences(other) != 1 {
		t.Errorf("after other keys: %d references, %d of the store", references(first), storeReferences(other))
	}
	c.stop()
	if siteOf(t, issuer) != nil || storeReferences(other) != 0 {
		t.Error("something is left after the stop")
	}
	<-other.done
	c.checkLog(t)
}

func (c *inCaddy) checkLog(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(c.logs)
	if err != nil {
		t.Fatal(err)
	}
	log := string(raw)
	for _, want := range []string{`"user_id":"jane"`, `"mcp_client_id":"dcr_1"`, `"mcp_resource":"https://real.example.com/mcp"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	for _, secret := range []string{"Bearer good", "s3cret", "AAECAwQF"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %s", secret)
		}
	}
	for _, bad := range []string{"panic", "handler error", "context canceled", "closing the"} {
		if i := strings.Index(log, bad); i >= 0 {
			t.Errorf("the log has: %s", log[max(0, i-200):min(len(log), i+200)])
		}
	}
}
