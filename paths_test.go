// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The path that was sent and the one that later handlers see are told apart by each of the
// two forms that a URL has.
func TestPaths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, raw, newPath, newRaw, original, rewritten string }{
		{"/mcp", "", "/mcp", "", "/mcp", "/mcp"},
		{"/mcp", "", "/other", "", "/mcp", "/other"},
		{"/a/b", "/a%2fb", "/a/b", "", "/a%2fb", "/a/b"},
		{"/a/b", "", "/a/b", "/a%2fb", "/a/b", "/a%2fb"},
		{"/a/b", "/a%2fb", "/c/b", "/c%2fb", "/a%2fb", "/c%2fb"},
	} {
		r := prepared(http.MethodGet, "https://paths.example.com/")
		sent := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
		sent.URL.Path, sent.URL.RawPath = c.path, c.raw
		r.URL.Path, r.URL.RawPath = c.newPath, c.newRaw
		if original, rewritten := paths(r); original != c.original || rewritten != c.rewritten {
			t.Errorf("%+v: %s and %s", c, original, rewritten)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://paths.example.com/bare", nil)
	if err != nil {
		t.Fatal(err)
	}
	if original, rewritten := paths(r); original != "/bare" || rewritten != "/bare" {
		t.Errorf("without the server's context: %s and %s", original, rewritten)
	}
}
