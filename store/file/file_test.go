// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/file"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store {
		return mustOpen(t, filepath.Join(t.TempDir(), "store.db"), env)
	})
}

func env() store.Env { return store.Env{Now: clock.System} }

func mustOpen(t *testing.T, path string, env store.Env) *file.Store {
	t.Helper()
	s, err := file.Open(path, env)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closed(t *testing.T, s *file.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// wantError checks that err says all of parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Fatalf("error is %q, want %q in it", err, part)
		}
	}
}

func wantMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); runtime.GOOS != "windows" && got != want {
		t.Errorf("mode of %s is %04o, want %04o", path, got, want)
	}
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "store.db")
	closed(t, mustOpen(t, path, env()))
	wantMode(t, filepath.Dir(dir), 0o700)
	wantMode(t, dir, 0o700)
	wantMode(t, path, 0o600)
}

func TestOpenWhileInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	first := mustOpen(t, path, env())
	_, err := file.Open(path, env())
	wantError(t, err, path+" is in use by another process; stop it or give this site another `store file <path>`")
	closed(t, first)
	closed(t, mustOpen(t, path, env()))
}

func TestOpenRefusesForeignFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    string
	}{
		"text": {func(t *testing.T, path string) {
			write(t, path, strings.Repeat("hello ", 10_000), 0o600)
		}, "invalid database"},
		"another program's database": {func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("raft"))
				return err
			})
		}, "not a store of mcp_oauth"},
		"another program's, with a like name": {func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("about"))
				return err
			})
		}, "not a store of mcp_oauth"},
		"a newer version's": {func(t *testing.T, path string) {
			closed(t, mustOpen(t, path, env()))
			edit(t, path, func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte("about")).Put([]byte("format"), []byte{2})
			})
		}, "newer version"},
		"a directory": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "store.db"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "store.db")
			test.prepare(t, path)
			_, err := file.Open(path, env())
			wantError(t, err, path, test.want)
			// A refused file is left alone and free.
			if name != "text" && name != "a directory" {
				edit(t, path, func(*bbolt.Tx) error { return nil })
			}
		})
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// edit changes a file behind the back of the store.
func edit(t *testing.T, path string, fn func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(fn); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
