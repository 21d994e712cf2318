// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// sink is a response writer that is used again and keeps nothing but the status.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

// call is a request that is sent again and again, so that a benchmark counts the handler
// and not the making of requests. What the handler changes is put back before each time.
type call struct {
	site    *site
	plain   *http.Request // before the server prepared it
	request *http.Request
	writer  *sink
	extra   *caddyhttp.ExtraLogFields
	bearer  []string
	sent    int
}

// reuse is how often a prepared request is sent: the handler adds to its placeholders
// each time, which a request that is sent once never notices.
const reuse = 1000

// newCall is a tool call of an MCP client with a token.
func newCall(tb testing.TB, s *site, token string) *call {
	tb.Helper()
	r, err := s.request(http.MethodPost, "/mcp", "")
	if err != nil {
		tb.Fatal(err)
	}
	r.Header = http.Header{
		"Accept": {"application/json, text/event-stream"}, "Accept-Encoding": {"gzip, deflate"},
		"Content-Type": {"application/json"}, "User-Agent": {"bench"},
		"Mcp-Session-Id": {"0123456789abcdef0123456789abcdef"}, "Mcp-Protocol-Version": {"2025-11-25"},
	}
	c := &call{site: s, plain: r, writer: &sink{header: http.Header{}}}
	c.use(token)
	c.prepare()
	return c
}

// prepare makes the request anew.
func (c *call) prepare() {
	c.request = c.site.prepare(c.writer, c.plain)
	c.extra = c.request.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
}

// use makes the request bear another token.
func (c *call) use(token string) { c.bearer = []string{"Bearer " + token} }

// send sends the request once more.
func (c *call) send(tb testing.TB, want int) {
	if c.sent++; c.sent%reuse == 0 {
		c.prepare()
	}
	c.request.Header["Authorization"] = c.bearer
	*c.extra = caddyhttp.ExtraLogFields{}
	clear(c.writer.header)
	c.writer.status = http.StatusOK
	if err := c.site.handler.ServeHTTP(c.writer, c.request, backend); err != nil {
		tb.Error(err)
	}
	if c.writer.status != want {
		tb.Errorf("status %d instead of %d", c.writer.status, want)
	}
}

// forged is a token with the head of a real one and a wrong authenticator.
func forged(token string) string {
	b := []byte(token)
	last := &b[len(b)-1]
	if *last == 'A' {
		*last = 'B'
	} else {
		*last = 'A'
	}
	return string(b)
}
