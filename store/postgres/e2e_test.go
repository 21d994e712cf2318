// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgres_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// recorder notes what a client sends to the token endpoint.
type recorder struct {
	next http.RoundTripper

	mu    sync.Mutex
	forms []url.Values
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/token") {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		r.forms = append(r.forms, form)
		r.mu.Unlock()
	}
	return r.next.RoundTrip(req)
}

// Each step of a sign-in may fall on another node, and a revocation on one is seen by the
// other within a second.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "")
	c.route(byStep(map[string]int{"/oauth/register": 0, "/oauth/login/continue": 1, "/oauth/callback": 0, "/oauth/token": 1}, c))

	own := &http.Transport{}
	t.Cleanup(own.CloseIdleConnections)
	sent := &recorder{next: own}
	client, err := mcptest.NewClient(mcptest.ClientConfig{
		Endpoint: c.resource, HTTP: &http.Client{Transport: sent}, Browser: &mcptest.Browser{Transport: own},
	})
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.Connect(c.ctx)
	if err != nil {
		t.Fatalf("connecting: %v\n%s\n%s", err, c.nodes[0].Output(), c.nodes[1].Output())
	}
	defer session.Close()
	for range 4 {
		if _, err := mcptest.Call[mcptest.Identity](c.ctx, session, "whoami", nil); err != nil {
			t.Fatalf("whoami: %v\n%s\n%s", err, c.nodes[0].Output(), c.nodes[1].Output())
		}
	}
	c.wantVisited("0 /oauth/register", "1 /oauth/login/continue", "0 /oauth/callback", "1 /oauth/token", "0 /mcp", "1 /mcp")

	for node := range 2 {
		c.route(byStep(map[string]int{"/oauth/token": node}, c))
		if _, err := client.Tokens.Refresh(); err != nil {
			t.Fatalf("refresh on node %d: %v", node, err)
		}
	}
	revokes(t, c, own, sent, client.Tokens.Current().AccessToken)
	audited(t, c)
}

// byStep sends the given paths to their nodes and all others by turns.
func byStep(fixed map[string]int, c *cluster) func(string) int {
	return func(path string) int {
		if node, ok := fixed[path]; ok {
			return node
		}
		return int(c.turn.Add(1))
	}
}

func (c *cluster) wantVisited(want ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range want {
		if !slices.Contains(c.visited, w) {
			c.t.Errorf("no request %q among %q", w, c.visited)
		}
	}
}

// revokes redeems the code of the sign-in once more on node 0, which revokes the grant,
// and waits for node 1 to refuse the token that it has in memory.
func revokes(t *testing.T, c *cluster, client http.RoundTripper, sent *recorder, token string) {
	t.Helper()
	c.route(func(string) int { return 1 })
	if status := c.call(client, token); status != http.StatusOK {
		t.Fatalf("status %d on node 1 before the revocation", status)
	}
	c.route(byStep(map[string]int{"/oauth/token": 0, "/mcp": 1}, c))
	again := sent.forms[0]
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.origin+"/oauth/token", strings.NewReader(again.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadRequest || !bytes.Contains(body, []byte("invalid_grant")) {
		t.Fatalf("a code was redeemed twice: %d %s", resp.StatusCode, body)
	}
	// The cache would answer for 30 seconds.
	deadline, tick := time.After(20*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for c.call(client, token) != http.StatusUnauthorized {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("node 1 never heard of the revocation on node 0\n%s", c.nodes[1].Output())
		}
	}
}

// call sends a request to the resource and returns the status.
func (c *cluster) call(client http.RoundTripper, token string) int {
	c.t.Helper()
	const ping = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.resource, strings.NewReader(ping))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := client.RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// audited waits until the trail of both nodes tells the story.
func audited(t *testing.T, c *cluster) {
	t.Helper()
	want := []string{"client_registered", "login_started", "code_issued", "code_redeemed", "refreshed", "grant_ended", "code_replayed"}
	deadline, tick := time.After(patience), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		trail := c.database.SQL(t, "postgres", "SELECT event, person, address, agent, token FROM mcp_oauth_audit ORDER BY at, id")
		missing := slices.DeleteFunc(slices.Clone(want), func(event string) bool { return strings.Contains(trail, event+"|") })
		if len(missing) == 0 && strings.Contains(trail, "127.0.0.1|Go-http-client") {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the audit trail has no %v:\n%s", missing, trail)
		}
	}
}
