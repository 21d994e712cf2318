// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/sqlite"
)

func parse(t *testing.T, text string) (string, error) {
	t.Helper()
	d := caddyfile.NewTestDispenser(text)
	d.Next() // store
	d.Next() // sqlite
	m, err := caddyfile.UnmarshalModule(d, "http.mcp_oauth.stores.sqlite")
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
		{"path alone", "store sqlite /x/y.sqlite", `{"path":"/x/y.sqlite"}`, ""},
		{"all words", "store sqlite /x/y {\naudit off\nretention 30d\n}", `{"path":"/x/y","audit":"off","retention":"30d"}`, ""},
		{"audit alone", "store sqlite /x/y {\naudit\n}", `{"path":"/x/y","audit":"on"}`, ""},
		{"placeholders", "store sqlite {env.A}/{file./b} {\nretention {env.C}\n}", `{"path":"{env.A}/{file./b}","retention":"{env.C}"}`, ""},
		{"no path", "store sqlite", "", "store sqlite has no <path>: write store sqlite <path> { ... }"},
		{"two paths", "store sqlite a b", "", `unexpected "b": write store sqlite <path> { ... }`},
		{"empty path", `store sqlite ""`, "", "the path is empty"},
		{"directory", "store sqlite /x/", "", "names a directory"},
		{"nul", "store sqlite a\x00b", "", "NUL"},
		{"another placeholder", "store sqlite {http.request.host}", "", "the only placeholders here"},
		{"unknown", "store sqlite a {\nmax_conns 3\n}", "", `unrecognized subdirective "max_conns" in store sqlite: the words here are audit, retention`},
		{"twice", "store sqlite a {\naudit\naudit off\n}", "", "audit is written twice in store sqlite"},
		{"audit neither", "store sqlite a {\naudit no\n}", "", `"no" is neither on nor off`},
		{"retention", "store sqlite a {\nretention 1\n}", "", "1h to 3650d"},
		{"retention missing", "store sqlite a {\nretention\n}", "", "retention has no value: write retention <duration>"},
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
			if err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), "Testfile:") {
				t.Fatalf("error is %v, want %q with a position", err, test.err)
			}
		})
	}
}

// Provision makes nothing; Open makes the file, and MasterKey the key beside it.
func TestOpener(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "store.sqlite")
	m := &sqlite.Module{Path: path}
	if err := m.Provision(caddy.Context{}); err != nil || m.Identity() != path {
		t.Fatalf("identity %q, %v", m.Identity(), err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Fatal("Provision made the directory")
	}
	s, err := m.Open(t.Context(), env())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	opened := func(context.Context) (store.Store, error) { return s, nil }
	key, err := m.MasterKey(t.Context(), opened, env())
	if err != nil || len(key) != 32 {
		t.Fatalf("a key of %d bytes, %v", len(key), err)
	}
	lost := func() error {
		if err := os.Remove(path + ".key"); err != nil {
			t.Fatal(err)
		}
		_, err := m.MasterKey(t.Context(), opened, env())
		return err
	}
	if err := lost(); err != nil {
		t.Errorf("an empty store: %v", err)
	}
	r := store.Record{
		Key:     store.Key{Site: "0123456789abcdef", Kind: "client", ID: strings.Repeat("0", 64)},
		Version: store.Version{1}, Expires: env().Now().Add(time.Hour).UTC().Truncate(time.Second), Value: []byte{1},
	}
	if err := s.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := lost(); err == nil || !strings.Contains(err.Error(), "put the file back") {
		t.Errorf("a key was made anew beside what it cannot open: %v", err)
	}
	for raw, want := range map[string]string{
		`{}`: "write <path>", `{"path":"/x/"}`: "names a directory", `{"path":"{env.MCPOAUTH_TEST_UNSET}"}`: "set the environment variable",
		`{"path":"/x","audit":"no"}`: "store sqlite: audit: ", `{"path":"/x","retention":"1"}`: "store sqlite: retention: ",
	} {
		bad := new(sqlite.Module)
		if err := json.Unmarshal([]byte(raw), bad); err != nil {
			t.Fatal(err)
		}
		if err := bad.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}
