// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A system that is not what it is said to be is found before it is loaded.
func TestCheckFindsWhatIsNoGuard(t *testing.T) {
	t.Parallel()
	behind := func(h http.Handler) *system {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		good := tokenPrefix + strings.Repeat("A", 96)
		return &system{name: "guard", guarded: true, addr: server.Listener.Addr().String(), tokens: []string{good}, tokenFile: "x"}
	}
	answer := func(saw string, other int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("Authorization"), "B") {
				w.WriteHeader(other)
			}
			_, _ = io.WriteString(w, saw)
		})
	}
	for _, c := range []struct {
		name, want string
		server     http.Handler
	}{
		{"a guard", "", answer(sawOther, http.StatusUnauthorized)},
		{"a proxy", "another token is answered with 200", answer(sawOther, http.StatusOK)},
		{"one that passes the token on", "the first token is answered with 200", answer(sawClient, http.StatusUnauthorized)},
		{"one that answers by mistake", "another token is answered with 403", answer(sawOther, http.StatusForbidden)},
	} {
		err := behind(c.server).check(t.Context())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
