// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/file"
)

func parse(t *testing.T, text string) (string, error) {
	t.Helper()
	d := caddyfile.NewTestDispenser(text)
	d.Next() // store
	d.Next() // file
	m, err := caddyfile.UnmarshalModule(d, "http.mcp_oauth.stores.file")
	if err != nil {
		return "", err
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), nil
}

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want, err string }{
		{"default", "store file", `{}`, ""},
		{"path", "store file /var/lib/x.db", `{"path":"/var/lib/x.db"}`, ""},
		{"placeholders", "store file {env.A}/x{file./b}.db", `{"path":"{env.A}/x{file./b}.db"}`, ""},
		{"empty block", "store file x.db {\n}", `{"path":"x.db"}`, ""},
		{"extra", "store file a b", "", `unexpected "b" after the path: write store file [<path>]`},
		{"block", "store file a {\n sync\n}", "", `unexpected "sync": store file takes no block: write store file [<path>]`},
		{"block without path", "store file {\n path a\n}", "", `unexpected "path": store file takes no block`},
		{"empty path", `store file ""`, "", "is empty"},
		{"directory", "store file /var/lib/", "", "names a directory"},
		{"other placeholder", "store file /x/{http.request.host}", "", "brace"},
		{"time placeholder", "store file /x/{time.now}", "", "brace"},
		{"open brace", "store file /x/{env.A", "", "brace"},
		{"close brace", "store file /x/}a", "", "brace"},
		{"nested brace", "store file {env.{env.A}}", "", "brace"},
		{"nul", "store file a\x00b", "", "NUL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(t, test.text)
			if test.err == "" {
				if err != nil || got != test.want {
					t.Fatalf("%s, %v, want %s", got, err, test.want)
				}
				return
			}
			wantError(t, err, test.err, "Testfile:")
		})
	}
}

func provision(t *testing.T, path string) (*file.Module, error) {
	t.Helper()
	m := &file.Module{Path: path}
	return m, m.Provision(caddy.Context{Context: t.Context()})
}

// Not parallel: it sets environment variables.
func TestProvision(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "name")
	write(t, name, "from-file\n", 0o600)
	t.Setenv("MCPOAUTH_TEST_DIR", filepath.Join(dir, "data"))
	t.Setenv("MCPOAUTH_TEST_SLASH", dir+"/")
	t.Setenv("MCPOAUTH_TEST_EMPTY", "")
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "home"))
	t.Setenv("AppData", filepath.Join(dir, "home"))

	for path, want := range map[string]string{
		"": filepath.Join(caddy.AppDataDir(), "mcp_oauth", "store.db"),
		"{env.MCPOAUTH_TEST_DIR}/{file." + name + "}.db": filepath.Join(dir, "data", "from-file.db"),
		filepath.Join(dir, "x") + "/../y.db":             filepath.Join(dir, "y.db"),
	} {
		m, err := provision(t, path)
		if err != nil || m.Identity() != want {
			t.Errorf("%q: identity %q, %v, want %q", path, m.Identity(), err, want)
		}
		if out, _ := json.Marshal(m); strings.Contains(string(out), dir) && !strings.Contains(path, dir) {
			t.Errorf("%q: the resolved path is shown: %s", path, out)
		}
	}
	m, err := provision(t, "relative.db")
	if err != nil || !filepath.IsAbs(m.Identity()) {
		t.Errorf("relative path: identity %q, %v", m.Identity(), err)
	}
	for path, want := range map[string]string{
		"{env.MCPOAUTH_TEST_EMPTY}":    "empty",
		"{env.MCPOAUTH_TEST_UNSET}.db": "MCPOAUTH_TEST_UNSET",
		"{env.MCPOAUTH_TEST_SLASH}":    "names a directory",
		"{http.request.host}.db":       "brace",
		"{file." + dir + "/absent}":    "absent",
	} {
		_, err := provision(t, path)
		wantError(t, err, "path of store file", want)
	}
	wantFiles(t, dir, "name")
}

func TestOpener(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "store.db")
	m, err := provision(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Fatal("Provision made the directory")
	}
	e := store.Env{Now: clock.System, Rand: rand.Reader}
	s, err := m.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	open := func(context.Context) (store.Store, error) { return s, nil }
	key, err := m.MasterKey(t.Context(), open, e)
	if err != nil || len(key) != 32 {
		t.Fatalf("MasterKey: %d bytes, %v", len(key), err)
	}
	busy := errors.New("in use")
	open = func(context.Context) (store.Store, error) { return nil, busy }
	if again, err := m.MasterKey(t.Context(), open, e); err != nil || !bytes.Equal(again, key) {
		t.Errorf("MasterKey while the store is in use: %d bytes, %v", len(again), err)
	}
	if err := os.Remove(path + ".key"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.MasterKey(t.Context(), open, e); !errors.Is(err, busy) {
		t.Errorf("MasterKey without key and store: %v", err)
	}
	if second, err := m.Open(t.Context(), e); err == nil || second != nil {
		t.Fatalf("second Open: %v, %v", second, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
