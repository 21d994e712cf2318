// SPDX-License-Identifier: Apache-2.0

package caddyrun

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

// Load makes the running server serve text, as Reload does, without a process of its own:
// for tests that reload more often than processes can be started.
func (c *Caddy) Load(ctx context.Context, text string) error {
	_, err := c.ask(ctx, http.MethodPost, "/load", text)
	return err
}

// Goroutines is the number of goroutines of the server, and where they are.
func (c *Caddy) Goroutines(ctx context.Context) (n int, where string, err error) {
	where, err = c.ask(ctx, http.MethodGet, "/debug/pprof/goroutine?debug=1", "")
	if err == nil {
		_, err = fmt.Sscanf(where, "goroutine profile: total %d", &n)
	}
	return n, where, err
}

// Descriptors is the number of files and connections that the server has open; Linux
// alone can tell.
func (c *Caddy) Descriptors() (int, error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.PID()))
	return len(open), err
}

// ask makes one request to the admin endpoint.
func (c *Caddy) ask(ctx context.Context, method, path, text string) (string, error) {
	own := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", strings.TrimPrefix(c.admin, "unix/"))
	}}
	defer own.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, strings.NewReader(text))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "text/caddyfile")
	resp, err := own.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, body)
	}
	return string(body), err
}
