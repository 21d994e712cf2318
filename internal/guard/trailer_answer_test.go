// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// What a backend must not say it does not say after the body either, whether it announced
// that or not. Its own trailers pass.
func TestSec_J08_TrailersOfTheBackend(t *testing.T) {
	t.Parallel()
	b := setup()
	fields := []string{"Www-Authenticate", "Proxy-Authenticate", "Service-Worker-Allowed", "Set-Cookie"}
	address, _ := front(t, b, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Trailer", "X-Checksum, www-authenticate,Set-Cookie , Proxy-Authenticate, Service-Worker-Allowed")
		_, _ = io.WriteString(w, "body")
		h.Set("X-Checksum", "1")
		prefix := ""
		if r.URL.RawQuery != "" {
			prefix = http.TrailerPrefix
			h.Set(prefix+"X-Other", "2")
		}
		for _, name := range fields {
			h.Set(prefix+name, "__Host-mcpo_b_1=x")
		}
	})
	for query, more := range map[string]string{"": "", "?unannounced": "2"} {
		res := raw(t, address, "GET /mcp"+query+" HTTP/1.1", "Authorization: Bearer "+good)
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "body" {
			t.Fatalf("%q, %v", body, err)
		}
		if res.Trailer.Get("X-Checksum") != "1" || res.Trailer.Get("X-Other") != more {
			t.Errorf("%q: trailers %v", query, res.Trailer)
		}
		for _, name := range fields {
			if values := res.Trailer[name]; slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "x") }) {
				t.Errorf("%q: %s is %q", query, name, values)
			}
		}
	}
}

// RFC 9110 §5.1: field names are case-insensitive, also where a trailer is announced.
func TestSec_J08_AnnouncedInAnyCase(t *testing.T) {
	t.Parallel()
	h := http.Header{"Trailer": {"www-authenticate, X-Sum", "SET-COOKIE"}}
	if dropAnnounced(h); len(h["Trailer"]) != 1 || h.Get("Trailer") != "X-Sum" {
		t.Errorf("left %q", h["Trailer"])
	}
}
