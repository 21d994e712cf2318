// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// What is public comes from the configuration: whatever a request says about hosts and
// schemes, the documents are byte for byte the same, or are not there.
func TestHostsNeverChangeDocuments(t *testing.T) {
	t.Parallel()
	for name, global := range map[string]string{
		"nobody trusted": "", "proxies trusted": "servers {\ntrusted_proxies static 127.0.0.1/32\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			// A site for every host, as behind a load balancer.
			w.start(globals(global) + strings.Replace(w.site(""), w.origin, "http://:"+port(w.addr), 1))
			for _, path := range []string{
				"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server/oauth",
				"/oauth/.well-known/openid-configuration",
			} {
				checkHosts(t, w, path, global != "")
			}
			challenge := w.initialize(w.resource, "").header.Get("WWW-Authenticate")
			evil := http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"443"}, "Forwarded": {"host=evil.example"}}
			if got := w.send(http.MethodPost, w.resource, evil, "").header.Get("WWW-Authenticate"); got != challenge || challenge == "" {
				t.Errorf("challenge %q became %q", challenge, got)
			}
		})
	}
}

func checkHosts(t *testing.T, w *world, path string, trusted bool) {
	t.Helper()
	want := w.get(w.origin + path)
	if want.status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, want.status, want.body)
	}
	for _, h := range []struct {
		header http.Header
		ours   bool // the request is for our host
	}{
		{http.Header{"Host": {"evil.example"}}, false},
		{http.Header{"Host": {"127.0.0.1"}}, false},
		{http.Header{"Host": {w.addr + "."}}, false},
		{http.Header{"X-Forwarded-Host": {"evil.example"}}, true},
		{http.Header{"X-Forwarded-Host": {"evil.example", w.addr}}, true},
		{http.Header{"X-Forwarded-Host": {"evil.example, " + w.addr}}, true},
		{http.Header{"X-Forwarded-Host": {""}}, true},
		{http.Header{"Host": {"evil.example"}, "X-Forwarded-Host": {w.addr}}, trusted},
		{http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"443"}, "X-Forwarded-Prefix": {"/evil"}}, true},
		{http.Header{"Forwarded": {"host=evil.example;proto=https"}, "X-Original-Url": {"/evil"}, "X-Rewrite-Url": {"/evil"}}, true},
	} {
		got := w.send(http.MethodGet, w.origin+path, h.header, "")
		switch {
		case strings.Contains(got.body, "evil"), strings.Contains(got.body, "https:"):
			t.Errorf("%s %v: the document is %s", path, h.header, got.body)
		case h.ours && (got.status != http.StatusOK || got.body != want.body || got.header.Get("ETag") != want.header.Get("ETag")):
			t.Errorf("%s %v: %d %s", path, h.header, got.status, got.body)
		case !h.ours && strings.Contains(got.body, w.addr):
			t.Errorf("%s %v: another host's document is %s", path, h.header, got.body)
		}
	}
}

// port is the port of an address.
func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
