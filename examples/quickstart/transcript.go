// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// transcript prints each request of the client and of the browser, with what matters of
// the answer and without any secret, and remembers where requests went.
type transcript struct {
	out  io.Writer
	next http.RoundTripper

	mu   sync.Mutex
	seen []string // "METHOD path status"
}

// RoundTrip implements http.RoundTripper for the client.
func (t *transcript) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	note, err := t.note(r, resp)
	if err != nil {
		return nil, err
	}
	t.print("client", r, resp, note)
	return resp, nil
}

// browser is told of every answer that the browser gets.
func (t *transcript) browser(r *http.Request, resp *http.Response) {
	note := ""
	if location, err := resp.Location(); err == nil {
		note = "to " + location.Scheme + "://" + location.Host + location.Path
	}
	t.print("browser", r, resp, note)
}

func (t *transcript) print(who string, r *http.Request, resp *http.Response, note string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = append(t.seen, fmt.Sprintf("%s %s %d", r.Method, r.URL.Path, resp.StatusCode))
	fmt.Fprintf(t.out, "  %-7s %-4s %s%s -> %d", who, r.Method, r.URL.Host, r.URL.Path, resp.StatusCode)
	if note != "" {
		fmt.Fprintf(t.out, "\n               %s", note)
	}
	fmt.Fprintln(t.out)
}

// saw tells whether a request was made and answered as line says.
func (t *transcript) saw(line string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.seen, line)
}

// shown are the members of JSON answers that are worth reading and not secret.
var shown = []string{
	"resource", "authorization_servers", "issuer", "client_id", "token_type", "expires_in", "scope", "error", "error_description",
}

// note says what matters of an answer to the client.
func (t *transcript) note(r *http.Request, resp *http.Response) (string, error) {
	if challenge := resp.Header.Get("WWW-Authenticate"); challenge != "" {
		return "WWW-Authenticate: " + challenge, nil
	}
	if r.URL.Path == "/mcp" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		return "", nil
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return "", nil
	}
	var parts []string
	for _, name := range shown {
		if value, ok := members[name]; ok {
			parts = append(parts, name+" "+string(value))
		}
	}
	return strings.Join(parts, ", "), nil
}
