// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
)

// listing describes every file below a directory: name, size, time of the last change.
func listing(t testing.TB, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&all, path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// `caddy validate` beside a running server passes, and leaves no trace: no file, no lock
// that waits, no connection to the provider.
func TestValidateBesideRunningServer(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.raw(w.issuer).signIn(w.resource)
	w.caddy.AwaitOutput(t, `"ready"`)
	before, dialled := listing(t, w.home.DataDir()), w.emulator.connections.Load()
	if !strings.Contains(before, "store.db.key") || dialled == 0 {
		t.Fatalf("nothing to compare with: %d connections and\n%s", dialled, before)
	}
	for name, text := range map[string]string{
		"same": w.caddyfile(""), "changed": w.caddyfile("tokens {\naccess 2h\n}\n"),
		"new issuer":  w.caddyfile("issuer " + w.origin + "/auth\n"),
		"other store": w.caddyfile("store file " + filepath.Join(w.home.DataDir(), "other.db") + "\n"),
		"memory":      w.caddyfile("store memory\n"),
	} {
		if out, err := w.home.Validate(t, text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if after := listing(t, w.home.DataDir()); after != before {
		t.Errorf("the data directory was\n%s\nand is\n%s", before, after)
	}
	if n := w.emulator.connections.Load() - dialled; n != 0 {
		t.Errorf("%d connections to the provider", n)
	}
}

// A configuration is good or bad by itself, whether the provider can be reached or not.
func TestValidateWithoutProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.emulator.stop()
	home := caddyrun.NewHome(t)
	if out, err := home.Validate(t, w.caddyfile("")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if files, _ := filepath.Glob(filepath.Join(home.Dir, "data", "*", "mcp_oauth*")); len(files) > 0 {
		t.Errorf("validate made %v", files)
	}
}
