// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// streamer is a backend whose stream says what the test wants, when it wants.
type streamer struct {
	events chan string   // what to send next
	gone   chan struct{} // closed when the client has hung up
}

func newStreamer() *streamer {
	return &streamer{events: make(chan string), gone: make(chan struct{})}
}

// streams makes a streamer the backend.
func (w *world) streams() *streamer {
	s := newStreamer()
	w.backend = record(w.t, s)
	return s
}

// ServeHTTP implements http.Handler.
func (s *streamer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case e := <-s.events:
			fmt.Fprintf(w, "data: %s\n\n", e)
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			close(s.gone)
			return
		}
	}
}

// listen opens the stream through Caddy.
func (w *world) listen(ctx context.Context, method, token string) *bufio.Scanner {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, w.resource, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Accept": {"text/event-stream"}, "Accept-Encoding": {"gzip"}}
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("stream: %d %v", resp.StatusCode, resp.Header)
	}
	return bufio.NewScanner(resp.Body)
}

// say sends an event and waits until it has come through: nothing further is sent before,
// so that an event in a buffer would wait for ever.
func (s *streamer) say(t *testing.T, stream *bufio.Scanner, text string) {
	t.Helper()
	select {
	case s.events <- text:
	case <-s.gone:
		t.Fatalf("the backend lost its client before %q", text)
	}
	for stream.Scan() {
		if stream.Text() == "data: "+text {
			return
		}
		if stream.Text() != "" {
			t.Fatalf("stream has %q", stream.Text())
		}
	}
	t.Fatalf("the stream ended before %q: %v", text, stream.Err())
}

// Events pass one by one, a reload of any kind does not end the stream, and the backend
// learns that the client has hung up.
func TestStream(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.streams()
			w.start(w.caddyfile(""))
			got := w.raw(w.issuer).signIn(w.resource)
			ctx, hangUp := context.WithTimeout(w.ctx, patience)
			defer hangUp()
			stream := w.listen(ctx, method, got.access)
			s.say(t, stream, "one")
			s.say(t, stream, "two")
			w.reload(w.caddyfile("") + "http://127.0.0.1:" + fmt.Sprint(caddyrun.FreePort(t)) + " {\nrespond x\n}\n")
			s.say(t, stream, "after a reload")
			w.reload(w.caddyfile("allow {\nrole MCP.User\n}\n"))
			s.say(t, stream, "after another policy")
			hangUp()
			receive(t, s.gone, "the backend hears of it")
		})
	}
}

// The official client sees the progress of a slow tool while it runs.
func TestSlowTool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	step, progress := make(chan struct{}), make(chan float64)
	w.backend = record(t, mcptest.NewServer(mcptest.ServerConfig{
		Issuer: w.issuer, Audience: w.resource, JWKSURL: w.issuer + "/jwks", Client: &http.Client{},
		Step: func(ctx context.Context) error {
			select {
			case step <- struct{}{}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}))
	w.start(w.caddyfile(""))
	session := w.connect(w.client(func(c *mcptest.ClientConfig) {
		c.Progress = func(done, _ float64) { progress <- done }
	}))
	ended := make(chan error, 1)
	go func() {
		_, err := mcptest.Call[mcptest.Count](w.ctx, session, "count", mcptest.Count{Steps: 3})
		ended <- err
	}()
	for want := 1.0; want <= 3; want++ {
		receive(t, step, "a step of the tool") // which waits until the last one has arrived
		if got := receive(t, progress, "progress"); got != want {
			t.Errorf("progress %v, not %v", got, want)
		}
	}
	if err := receive(t, ended, "the answer"); err != nil {
		t.Error(err)
	}
}
