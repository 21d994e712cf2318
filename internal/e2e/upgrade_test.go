// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The nonce of RFC 6455 §1.3 and the answer to it.
const (
	socketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	socketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// echo is a backend that switches to WebSocket and sends back each byte that it gets.
func echo(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nWWW-Authenticate: Basic\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	if rw.Flush() == nil {
		_, _ = io.Copy(conn, rw)
	}
}

// dial asks for WebSocket with a token, none where it is "".
func (w *world) dial(token string) (net.Conn, *bufio.Reader, *http.Response) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if token != "" {
		token = "Authorization: Bearer " + token + "\r\n"
	}
	fmt.Fprintf(conn, "GET /mcp HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s\r\n",
		w.addr, socketKey, token)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodGet})
	if err != nil {
		w.t.Fatal(err)
	}
	return conn, r, resp
}

// Another protocol begins for a valid token alone. What comes after it passes in both
// directions, byte by byte.
func TestSec_J13_UpgradeNeedsAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend = record(t, http.HandlerFunc(echo))
	w.start(w.caddyfile(""))
	token := w.raw(w.issuer).signIn(w.resource).access
	for _, bad := range []string{"", "x", token + "x", token[:len(token)-1] + "_"} {
		_, _, resp := w.dial(bad)
		if resp.StatusCode != http.StatusUnauthorized || len(resp.Header.Values("WWW-Authenticate")) != 1 {
			t.Errorf("with %.12q: %d", bad, resp.StatusCode)
		}
	}
	if seen := w.backend.arrivals(); len(seen) > 0 {
		t.Fatalf("%d requests reached the backend", len(seen))
	}
	conn, r, resp := w.dial(token)
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != socketAccept ||
		resp.Header.Get("WWW-Authenticate") != "" {
		t.Fatalf("with a token: %d %v", resp.StatusCode, resp.Header)
	}
	for _, message := range []string{"one", "two", strings.Repeat("\x00\xff", 40_000)} {
		go func() { _, _ = io.WriteString(conn, message) }()
		got := make([]byte, len(message))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != message {
			t.Fatalf("%.20q came back as %.20q, %v", message, got, err)
		}
	}
	seen := w.backend.arrivals()
	if len(seen) != 1 || audience(seen[0].jwt()) != w.resource {
		t.Errorf("arrived as %v", seen)
	}
}
