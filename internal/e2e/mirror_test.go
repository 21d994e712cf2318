// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// mirrored are headers in which clients repeat what the body says, as clients write them.
// MCP transports: intermediaries MUST forward Mcp-Param-* headers that they do not know.
// Names have no case on the wire, values have, and each byte of them.
var mirrored = map[string]string{
	"MCP-Protocol-Version":           "2026-07-28",
	"mcp-method":                     "tools/call",
	"MCP-NAME":                       "Weather, tomorrow; in \"Zürich\"",
	"Mcp-Session-Id":                 "a/b+c=.~!#$%&'*^`|",
	"Mcp-Param-Plain":                "value",
	"mCp-pArAm-oDD-cAsE":             "VaLuE",
	"Mcp-Param-Base64":               "=?base64?SGVsbG8sIOS4lueVjA==?=",
	"Mcp-Param-Base64-And-More":      "x =?base64?SGVsbG8=?= y",
	"Mcp-Param-Percent":              "100%25 %zz %",
	"Mcp-Param-Comma":                "a, b,,c",
	"Mcp-Param-Json":                 `{"a":[1,"}"]}`,
	"Mcp-Param-Looks-Like-A-Token":   "Bearer a.b.c",
	"Mcp-Param-Placeholder":          "{env.HOME} {http.request.uri}",
	"Mcp-Param-" + "Very-Long":       strings.Repeat("0123456789", 400),
	"Last-Event-Id":                  "7:x",
	"Mcp-Something-Nobody-Knows-Yet": "yes",
}

func TestMirroredHeadersArriveVerbatim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend = record(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Mcp-Session-Id", "made/by+the=backend")
	}))
	w.start(globals(bothVersions) + w.site(""))
	token := w.raw(w.issuer).signIn(w.resource).access
	var lines strings.Builder
	h := http.Header{"Authorization": {"Bearer " + token}}
	for name, value := range mirrored {
		lines.WriteString(name + ": " + value + "\r\n")
		h.Set(name, value)
	}
	status, _ := w.wire("POST", "/mcp", w.addr, "Authorization: Bearer "+token+"\r\n"+lines.String())
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	checkMirrored(t, "HTTP/1.1", w.backend.arrivals())
	if a := w.h2().send(http.MethodPost, w.resource, h, "{}"); a.status != http.StatusOK || a.header.Get("Mcp-Session-Id") != "made/by+the=backend" {
		t.Fatalf("over HTTP/2: %d %v", a.status, a.header)
	}
	checkMirrored(t, "HTTP/2", w.backend.arrivals())
}

func checkMirrored(t *testing.T, version string, seen []arrival) {
	t.Helper()
	if len(seen) != 1 {
		t.Fatalf("%s: %d requests arrived", version, len(seen))
	}
	got := maps.Clone(seen[0].header)
	for name, value := range mirrored {
		if values := got.Values(name); len(values) != 1 || values[0] != value {
			t.Errorf("%s: %s arrived as %q", version, name, values)
		}
		got.Del(name)
	}
	for name := range got {
		if strings.HasPrefix(name, "Mcp-") {
			t.Errorf("%s: %s was added", version, name)
		}
	}
}

// Headers that repeat what the body says give nobody anything: the guard decides by the
// token alone, so a header that says something else than the body changes nothing.
func TestSec_J15_MirroredHeadersDecideNothing(t *testing.T) {
	t.Parallel()
	w, got := newWorld(t), make(chan string, 1)
	w.backend = record(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("Mcp-Method") + " " + r.Header.Get("Mcp-Name") + " " + string(body)
	}))
	w.start(w.caddyfile(""))
	token := w.raw(w.issuer).signIn(w.resource).access
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete"}}`
	for _, claims := range []http.Header{
		{"Mcp-Method": {"tools/list"}, "Mcp-Name": {"read"}},
		{"Mcp-Method": {"ping"}, "MCP-Protocol-Version": {"2026-07-28"}},
		{"Mcp-Method": {"server/discover"}, "Mcp-Name": {""}},
	} {
		if a := w.send(http.MethodPost, w.resource, claims, body); a.status != http.StatusUnauthorized {
			t.Errorf("%v without a token: %d", claims, a.status)
		}
		claims.Set("Authorization", "Bearer "+token)
		if a := w.send(http.MethodPost, w.resource, claims, body); a.status != http.StatusOK {
			t.Errorf("%v with a token: %d %s", claims, a.status, a.body)
		}
		if arrived := receive(t, got, "the request arrives"); arrived != claims.Get("Mcp-Method")+" "+claims.Get("Mcp-Name")+" "+body {
			t.Errorf("arrived as %q", arrived)
		}
	}
}
