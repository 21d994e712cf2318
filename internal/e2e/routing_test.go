// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
)

// layout is a way to write the site around mcp_oauth. OAUTH and BACKEND stand for the
// block and the address of the backend.
type layout struct {
	path string // of the resource
	any  bool   // the site is for every host
	text string
}

var layouts = map[string]layout{
	"proxy":       {path: "/mcp", text: "OAUTH reverse_proxy /mcp* BACKEND"},
	"any host":    {path: "/mcp", any: true, text: "OAUTH reverse_proxy /mcp* BACKEND"},
	"handle":      {path: "/mcp", text: "OAUTH handle /mcp* {\nreverse_proxy BACKEND\n}\nhandle {\nrespond next\n}"},
	"handle_path": {path: "/mcp", text: "OAUTH handle_path /mcp* {\nreverse_proxy BACKEND\n}"},
	"route":       {path: "/", text: "route {\nOAUTH reverse_proxy BACKEND\n}"},
	"root":        {path: "/", any: true, text: "OAUTH reverse_proxy BACKEND"},
	"rewrite":     {path: "/mcp", text: "OAUTH rewrite /api* /mcp\nreverse_proxy /mcp* BACKEND"},
	"inner":       {path: "/mcp", text: "OAUTH handle /mcp* {\nrewrite * /inner\nreverse_proxy BACKEND\n}"},
	"encode":      {path: "/mcp", text: "encode zstd gzip\nOAUTH reverse_proxy /mcp* BACKEND"},
	"errors":      {path: "/mcp", text: "OAUTH reverse_proxy /mcp* BACKEND\nhandle_errors {\nreverse_proxy BACKEND\n}"},
}

// targets are request targets as they are on the wire. HOST is the site's own.
var targets = []string{
	"/mcp", "/mcp/", "/mcp/x", "/mcp?x=1", "/mcp?", "/mcpx", "/mcp-admin", "/mcp.json", "//mcp", "///mcp", "/mcp//x", "/./mcp",
	"/x/../mcp", "/mcp/.", "/mcp/..", "/mcp/../x", "/mcp/../mcp", "/mcp/..;/x", "/../mcp", "/MCP", "/Mcp/x", "/%6dcp", "/m%63p/",
	"/%6D%63%70", "/%256dcp", "/%25256dcp", "/%2525256dcp", "/mcp%2f", "/mcp%2Fx", "/%2fmcp", "/%2Fmcp/x", "/mcp%5c", "/mcp\\x",
	"/\\mcp", "\\mcp", "/%5cmcp", "/mcp;a=b", "/mcp;/x", "/;/mcp", "/;a=b/mcp", "/x;a/../mcp", "/mcp.", "/mcp..", "/mcp%20", "/mcp+",
	"/mcp%00", "/mcp%0a", "/mcp%0d%0aX: y", "/mcp%", "/mcp%zz", "/mcp%ff", "/mcp%c0%af", "/mcp%3fx", "/mcp%23", "/mcp#x",
	"/%2e/mcp", "/x/%2e%2e/mcp", "/x/..%2fmcp", "/%252e%252e/mcp", "/oauth/../mcp", "/oauth/token/../../mcp", "/oauth%2f..%2fmcp",
	"/.well-known/oauth-protected-resource/../../mcp", "/.well-known/../mcp", "/.well-known/oauth-protected-resource/mcp/../../../mcp",
	"//HOST/mcp", "http://HOST/mcp", "http://evil.example/mcp", "https://HOST/mcp", "/api", "/API", "/api/../mcp", "/%61pi", "/ｍcp", "*", "/",
}

// TestRouting sends what the web server may understand otherwise than we do. Whatever
// reaches the backend came with a good token.
func TestRouting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sites, config := map[string]*world{}, globals("")
	for name, l := range layouts {
		s := newSite(t, w, l)
		sites[name] = s
		config += s.layout(l)
	}
	w.start(config)
	for name, l := range layouts {
		s := sites[name]
		s.caddy = w.caddy
		t.Run(name, func(t *testing.T) {
			s.t = t
			checkLayout(t, s, l)
		})
	}
}

// newSite is one more site of the same Caddy and the same provider.
func newSite(t testing.TB, w *world, l layout) *world {
	s := *w
	s.t, s.addr = t, caddyrun.FreeAddr(t)
	s.origin = "http://" + s.addr
	s.issuer, s.resource = s.origin+"/oauth", s.origin+l.path
	s.emulator.Register(s.issuer + "/callback")
	s.backend = record(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the backend's secret") }))
	return &s
}

func (w *world) layout(l layout) string {
	address := w.origin
	if l.any {
		address = "http://:" + port(w.addr)
	}
	return address + " {\n" + strings.NewReplacer("OAUTH", block("resource "+w.resource+"\n"+w.entra()),
		"BACKEND", w.backend.addr()).Replace(l.text) + "\n}\n"
}

func checkLayout(t *testing.T, w *world, l layout) {
	t.Helper()
	checkEndpoints(t, w)
	token := w.raw(w.issuer).signIn(w.resource).access
	if n := len(w.backend.arrivals()); n != 0 {
		t.Fatalf("%d requests of the sign-in reached the backend", n)
	}
	for _, target := range targets {
		for _, method := range []string{"GET", "POST", "OPTIONS", "get", "PROPFIND"} {
			w.noneArrive(method, target, w.addr, "")
		}
		w.noneArrive("GET", target, w.addr, "Authorization: Bearer "+strings.Repeat("x", 104)+"\r\n")
		w.onlyGoodArrive(target, token)
	}
	for _, host := range []string{"evil.example", "127.0.0.1", "localhost:" + port(w.addr), w.addr + ".", "", "[::1]", "127.0.0.1:" + port(w.addr) + "0"} {
		for _, more := range []string{"", "X-Forwarded-Host: " + w.addr + "\r\n", "X-Original-URL: /oauth/jwks\r\n", "X-Rewrite-URL: /\r\n"} {
			w.noneArrive("GET", "/mcp", host, more)
			w.noneArrive("POST", "/mcp/", host, more)
		}
	}
	for _, header := range []string{
		"Authorization: Bearer \r\n", "Authorization: Basic eDp5\r\n", "Authorization: Bearer " + token + "x\r\n",
		"Authorization: Bearer " + token[:len(token)-1] + "\r\n", "Authorization: Bearer " + token + "\r\nAuthorization: Bearer x\r\n",
		"Authorization: Bearer x, Bearer " + token + "\r\n", "X-Authorization: Bearer " + token + "\r\n",
		"Proxy-Authorization: Bearer " + token + "\r\n", "Cookie: access_token=" + token + "\r\n", "Authorization: Bearer a.b.c\r\n",
	} {
		w.noneArrive("GET", "/mcp", w.addr, header)
	}
	w.noneArrive("GET", "/mcp?access_token="+token, w.addr, "")
	w.works(w.resource, token)
	if seen := w.backend.arrivals(); len(seen) != 1 || audience(seen[0].jwt()) != w.resource {
		t.Errorf("a good request arrived as %v", seen)
	}
}

// checkEndpoints makes sure that the layout leaves the authorization server reachable.
func checkEndpoints(t *testing.T, w *world) {
	t.Helper()
	for path, want := range map[string]int{
		"/.well-known/oauth-authorization-server/oauth": 200, "/.well-known/oauth-protected-resource": 200,
		"/oauth/jwks": 200, "/oauth/register": 405, "/oauth/token": 405, "/oauth/authorize": 400, "/oauth/nothing": 404, "/oauth": 404,
	} {
		if a := w.get(w.origin + path); a.status != want {
			t.Errorf("%s: %d instead of %d: %.200s", path, a.status, want, a.body)
		}
	}
}

// noneArrive sends a request that must not reach the backend.
func (w *world) noneArrive(method, target, host, more string) {
	w.t.Helper()
	status, body := w.wire(method, target, host, more)
	if seen := w.backend.arrivals(); len(seen) > 0 || strings.Contains(body, "secret") {
		w.t.Errorf("%s %s (host %q, %q): reached the backend as %s %s, status %d", method, target, host, more, seen[0].method, seen[0].uri, status)
	}
	if status >= http.StatusInternalServerError && status != http.StatusNotImplemented {
		w.t.Errorf("%s %s (host %q, %q): status %d", method, target, host, more, status)
	}
}

// onlyGoodArrive sends a request with a good token. If it reaches the backend, then with
// a JWT for the resource instead.
func (w *world) onlyGoodArrive(target, token string) {
	w.t.Helper()
	w.wire("GET", target, w.addr, "Authorization: Bearer "+token+"\r\n")
	for _, a := range w.backend.arrivals() {
		if audience(a.jwt()) != w.resource {
			w.t.Errorf("%s arrived as %s with %q", target, a.uri, a.header.Get("Authorization"))
		}
	}
}

// wire writes a request byte for byte and returns the status, 0 where the server hung up.
func (w *world) wire(method, target, host, more string) (int, string) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	target = strings.ReplaceAll(target, "HOST", w.addr)
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: 0\r\n%s\r\n", method, target, host, more)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: strings.ToUpper(method)})
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// audience is the aud of a JWT whose signature is of no interest; "" where it is none.
func audience(jwt string) string {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct{ Aud string }
	if json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	_, err = url.Parse(claims.Aud)
	if err != nil {
		return ""
	}
	return claims.Aud
}
