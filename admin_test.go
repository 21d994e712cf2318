// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// adminCall asks the admin API and returns the answer, or the error that Caddy writes.
func adminCall(t *testing.T, method, path, body string) (*httptest.ResponseRecorder, *caddy.APIError) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	w := httptest.NewRecorder()
	for _, route := range (AdminAPI{}).Routes() {
		if route.Pattern != r.URL.Path {
			continue
		}
		err := route.Handler.ServeHTTP(w, r)
		var api caddy.APIError
		if err != nil && !errors.As(err, &api) {
			t.Fatalf("%s %s: %v is no caddy.APIError", method, path, err)
		}
		if err != nil {
			return w, &api
		}
		return w, nil
	}
	t.Fatalf("no route %s", path)
	return nil, nil
}

func wantAdminError(t *testing.T, method, path, body string, status int, text string) {
	t.Helper()
	_, err := adminCall(t, method, path, body)
	if err == nil || err.HTTPStatus != status || !strings.Contains(err.Err.Error(), text) {
		t.Errorf("%s %s: %v, want %d %q", method, path, err, status, text)
	}
}

// The admin API finds the sites of whatever configuration is loaded, and only those.
func TestAdminSites(t *testing.T) {
	const host, issuer = "admin.example.com", "https://admin.example.com/oauth"
	_, h := running(t, sited(host))
	if _, err := opened(t, h).vault.Keyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w, err := adminCall(t, http.MethodGet, "/mcp_oauth/sites", ""); err != nil ||
		!strings.Contains(w.Body.String(), `{"issuer":"`+issuer+`","store":"*memory.Module memory"}`) {
		t.Errorf("sites: %s, %v", w.Body, err)
	}
	query := "?issuer=" + issuer
	stream, err := adminCall(t, http.MethodGet, "/mcp_oauth/store/export"+query, "")
	if err != nil {
		t.Fatal(err)
	}
	if w, err := adminCall(t, http.MethodGet, "/mcp_oauth/store/check"+query, ""); err != nil || !strings.Contains(w.Body.String(), `"kind":"keyring"`) {
		t.Errorf("check: %s, %v", w.Body, err)
	}
	if w, err := adminCall(t, http.MethodPost, "/mcp_oauth/store/import"+query, stream.Body.String()); err != nil || !strings.Contains(w.Body.String(), `"expired":0`) {
		t.Errorf("import of what is there: %s, %v", w.Body, err)
	}
	wantAdminError(t, http.MethodPost, "/mcp_oauth/store/import"+query, "hello", http.StatusBadRequest, "no export")
	wantAdminError(t, http.MethodGet, "/mcp_oauth/store/export?issuer=https://other.example", "", http.StatusNotFound, "no mcp_oauth site")
	wantAdminError(t, http.MethodPost, "/mcp_oauth/store/export", "", http.StatusMethodNotAllowed, "use GET")
	wantAdminError(t, http.MethodGet, "/mcp_oauth/store/import", "", http.StatusMethodNotAllowed, "use POST")

	if err := h.Cleanup(); err != nil {
		t.Fatal(err)
	}
	wantAdminError(t, http.MethodGet, "/mcp_oauth/store/check"+query, "", http.StatusNotFound, "no mcp_oauth site")
}

// keyFromRandom makes its key as the stores do.
type keyFromRandom struct{ store.Opener }

func (keyFromRandom) MasterKey(_ context.Context, _ func(context.Context) (store.Store, error), env store.Env) ([]byte, error) {
	key := make([]byte, 32)
	_, err := io.ReadFull(env.Rand, key)
	return key, err
}

// A key is not made by whoever only looks.
func TestInspectorMakesNoKey(t *testing.T) {
	s := siteOver(t, &fakeStore{})
	s.store.opener = keyFromRandom{s.store.opener}
	if _, err := s.inspector(t.Context()); !errors.Is(err, errNoKey) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := s.store.masterKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.inspector(t.Context()); err != nil {
		t.Errorf("with the key: %v", err)
	}
}
