// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// call is the body of a tool call, 1,024 bytes of JSON-RPC.
var call = func() string {
	const head, tail = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"`, `"}}}`
	return head + strings.Repeat("x", 1024-len(head)-len(tail)) + tail
}()

// callHeaders are those of an MCP client, in pairs.
var callHeaders = []string{
	"Content-Type", "application/json",
	"Accept", "application/json, text/event-stream",
	"User-Agent", "compare",
	"Mcp-Session-Id", "0123456789abcdef0123456789abcdef",
	"Mcp-Protocol-Version", "2025-11-25",
}

var checker = &http.Client{Timeout: patience}

// request is a request of a client of the system.
func (s *system) request(ctx context.Context, method, path, token string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, body)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(callHeaders); i += 2 {
		r.Header.Set(callHeaders[i], callHeaders[i+1])
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r, nil
}

// post calls the tool once.
func (s *system) post(ctx context.Context, token string) (status int, body string, err error) {
	r, err := s.request(ctx, http.MethodPost, callPath, token, strings.NewReader(call))
	if err != nil {
		return 0, "", err
	}
	resp, err := checker.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// check makes sure that the system lets its tokens through and, where it is a guard, no
// other, and that then the backend does not see the client's token.
func (s *system) check(ctx context.Context) error {
	for _, c := range []struct {
		what, token string
		status      int
		saw         string
	}{
		{"the first token", s.tokens[0], http.StatusOK, s.sees()},
		{"the last token", s.last(), http.StatusOK, s.sees()},
		{"another token", other(s.tokens[0]), s.refusal(), ""},
	} {
		var status int
		var body string
		var err error
		// What opens its store at the first request may ask for a moment.
		wait := poll(func() bool {
			status, body, err = s.post(ctx, c.token)
			return err != nil || status != http.StatusServiceUnavailable
		})
		switch {
		case wait != nil:
			return fmt.Errorf("%s: %s is answered with 503: %w", s.name, c.what, wait)
		case err != nil:
			return fmt.Errorf("%s: %w", s.name, err)
		case status != c.status || !strings.Contains(body, c.saw):
			return fmt.Errorf("%s: %s is answered with %d, not with %d and %q: %s", s.name, c.what, status, c.status, c.saw, body)
		}
	}
	return nil
}

// last is the last token that the system must know: forward_auth and nginx know one.
func (s *system) last() string {
	if s.guarded && s.tokenFile != "" && s.seeded() {
		return s.tokens[len(s.tokens)-1]
	}
	return s.tokens[0]
}

// seeded tells whether the system knows all its tokens.
func (s *system) seeded() bool { return strings.HasPrefix(s.name, "guard") }

func (s *system) sees() string {
	if s.guarded || s.replaces {
		return sawOther
	}
	return sawClient
}

func (s *system) refusal() int {
	if s.guarded {
		return http.StatusUnauthorized
	}
	return http.StatusOK
}

// other is a token like the given one that nobody made.
func other(token string) string {
	b := []byte(token)
	last := &b[len(b)-1]
	if *last == 'A' {
		*last = 'B'
	} else {
		*last = 'A'
	}
	return string(b)
}
