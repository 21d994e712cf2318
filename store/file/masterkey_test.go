// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// masterKey opens a store for its key alone.
func masterKey(t *testing.T, path string, random io.Reader) ([]byte, error) {
	t.Helper()
	s := mustOpen(t, path, env())
	defer closed(t, s)
	return s.MasterKey(t.Context(), random)
}

func TestMasterKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	path := filepath.Join(dir, "store.db")
	random := bytes.Repeat([]byte{0xfb, 0xff, 0, 1}, 8)
	key, err := masterKey(t, path, bytes.NewReader(random))
	if err != nil || !bytes.Equal(key, random) {
		t.Fatalf("key %x, %v", key, err)
	}
	wantMode(t, dir, 0o700)
	wantMode(t, path+".key", 0o600)
	text, err := os.ReadFile(path + ".key")
	if err != nil || string(text) != base64.StdEncoding.EncodeToString(random)+"\n" {
		t.Fatalf("the file holds %q, %v", text, err)
	}
	again, err := masterKey(t, path, strings.NewReader(""))
	if err != nil || !bytes.Equal(again, key) {
		t.Fatalf("second time: %x, %v", again, err)
	}
	wantFiles(t, dir, "store.db", "store.db.key")
}

func wantFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, names) {
		t.Errorf("the directory holds %v, want %v", got, names)
	}
}

// A key that is lost, or that was replaced, is said to be, and not made anew.
func TestSec_H08_LostKeyIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	first := bytes.Repeat([]byte{7}, 32)
	if _, err := masterKey(t, path, bytes.NewReader(first)); err != nil {
		t.Fatal(err)
	}
	m, err := seal.NewMaster(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".key", path+".saved"); err != nil {
		t.Fatal(err)
	}
	_, err = masterKey(t, path, rand.Reader)
	wantError(t, err, path+".key is missing", "(id "+m.KID().String()+")", "put the file back", "encryption_key")
	wantFiles(t, filepath.Dir(path), "store.db", "store.db.saved")

	other := bytes.Repeat([]byte{8}, 32)
	write(t, path+".key", base64.StdEncoding.EncodeToString(other), 0o600)
	_, err = masterKey(t, path, rand.Reader)
	wantError(t, err, path+".key", "sealed under the key "+m.KID().String(), "put back the key file")

	if err := os.Rename(path+".saved", path+".key"); err != nil {
		t.Fatal(err)
	}
	if key, err := masterKey(t, path, rand.Reader); err != nil || !bytes.Equal(key, first) {
		t.Errorf("the key that was put back: %x, %v", key, err)
	}
}

func TestMasterKeyWithoutRandomness(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	if _, err := masterKey(t, path, io.LimitReader(rand.Reader, 31)); err == nil {
		t.Error("31 bytes of randomness made a key")
	}
	if _, err := os.Stat(path + ".key"); err == nil {
		t.Error("a key file was published")
	}
}

func TestMasterKeyRefusesBadFiles(t *testing.T) {
	t.Parallel()
	good := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	for name, test := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"empty":            {"", 0o600, "does not hold the base64 of 32 bytes"},
		"31 bytes":         {base64.StdEncoding.EncodeToString(make([]byte, 31)), 0o600, "does not hold"},
		"33 bytes":         {base64.StdEncoding.EncodeToString(make([]byte, 33)), 0o600, "does not hold"},
		"raw":              {strings.Repeat("\x01", 32), 0o600, "does not hold"},
		"two keys":         {good + "\n" + good, 0o600, "does not hold"},
		"endless":          {strings.Repeat("A", 1<<20), 0o600, "does not hold"},
		"readable by all":  {good, 0o644, "chmod 600"},
		"readable by some": {good, 0o640, "mode 0640"},
		"writable":         {good, 0o602, "chmod 600"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS == "windows" && test.mode != 0o600 {
				return // no such modes
			}
			path := filepath.Join(t.TempDir(), "store.db")
			write(t, path+".key", test.text, 0o600)
			if err := os.Chmod(path+".key", test.mode); err != nil {
				t.Fatal(err)
			}
			_, err := masterKey(t, path, rand.Reader)
			wantError(t, err, path+".key", test.want)
			if text, _ := os.ReadFile(path + ".key"); string(text) != test.text {
				t.Error("the file was changed")
			}
			if strings.Contains(err.Error(), good) {
				t.Error("the error shows the key")
			}
		})
	}
	t.Run("a directory", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.Mkdir(path+".key", 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := masterKey(t, path, rand.Reader)
		wantError(t, err, "not a regular file")
	})
}

// An administrator's editor may end the line its own way.
func TestMasterKeyAllowsLineEnds(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte{7}, 32)
	for _, end := range []string{"", "\n", "\r\n", "\n\n"} {
		path := filepath.Join(t.TempDir(), "store.db")
		write(t, path+".key", base64.StdEncoding.EncodeToString(want)+end, 0o600)
		if key, err := masterKey(t, path, rand.Reader); err != nil || !bytes.Equal(key, want) {
			t.Errorf("%q: %x, %v", end, key, err)
		}
	}
}

func TestSec_H08_RacingProcessesAgree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	keys := make([]bytes.Buffer, 6)
	gates := make([]io.Closer, len(keys))
	var wg sync.WaitGroup
	for i := range keys {
		cmd := child(t, childKey+"="+path)
		cmd.Stdout = &keys[i]
		gate, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		gates[i] = gate
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	for _, gate := range gates {
		if err := gate.Close(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	key, err := masterKey(t, path, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		if got := keys[i].String(); got != fmt.Sprintf("%x", key) {
			t.Errorf("process %d has the key %s, the file %x", i, got, key)
		}
	}
	wantFiles(t, filepath.Dir(path), "store.db", "store.db.key")
}
