// SPDX-License-Identifier: Apache-2.0

package caddyrun

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// patience bounds every wait of this package. It is far above what anything takes, so
// that only a process that hangs meets it, also on a loaded machine under -race.
const patience = 60 * time.Second

// Home is the place where one Caddy keeps its data and configuration. Several processes
// may share one, at the same time or one after another, which is how restarts and
// `caddy validate` beside a running server are tested.
type Home struct {
	// Dir holds the Caddyfile, config/ and data/.
	Dir string
	// Env is added to the environment of each process, as "NAME=value".
	Env []string

	// Files are open in each server, from descriptor FirstFile on; not on Windows.
	Files []*os.File

	admin string // address of the admin endpoint, a unix socket
}

// NewHome makes an empty home that is removed when the test ends.
func NewHome(t testing.TB, env ...string) *Home {
	t.Helper()
	// The names of sockets are limited to about 100 bytes, which t.TempDir may exceed.
	sockets, err := os.MkdirTemp("", "caddy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	return &Home{Dir: t.TempDir(), Env: env, admin: "unix/" + filepath.Join(sockets, "admin.sock")}
}

// DataDir is where Caddy and its modules keep what must survive a restart.
func (h *Home) DataDir() string { return filepath.Join(h.Dir, "data", "caddy") }

// Caddyfile writes text as the home's Caddyfile and returns its path.
func (h *Home) Caddyfile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(h.Dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Validate runs `caddy validate` on text and returns what it printed. The error is that
// of the command: an *exec.ExitError where Caddy refuses the configuration.
func (h *Home) Validate(t testing.TB, text string) (string, error) {
	t.Helper()
	return h.run(t, "validate", "--config", h.candidate(t, text), "--adapter", "caddyfile")
}

// Adapt runs `caddy adapt` on text and returns the JSON, or what it printed with the
// error.
func (h *Home) Adapt(t testing.TB, text string) (string, error) {
	t.Helper()
	return h.run(t, "adapt", "--config", h.candidate(t, text), "--adapter", "caddyfile")
}

// candidate writes text beside the Caddyfile that a running server was started with.
func (h *Home) candidate(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run executes one caddy command to its end.
func (h *Home) run(t testing.TB, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := h.command(ctx, t, args...).CombinedOutput()
	return string(out), err
}

// command is the test binary as the caddy command, with an environment that holds
// nothing of the developer's own Caddy.
func (h *Home) command(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Dir = h.Dir
	cmd.Env = append([]string{
		reexecuted + "=command",
		"CADDY_ADMIN=" + h.admin,
		"HOME=" + h.Dir,
		"XDG_CONFIG_HOME=" + filepath.Join(h.Dir, "config"),
		"XDG_DATA_HOME=" + filepath.Join(h.Dir, "data"),
		"XDG_CACHE_HOME=" + filepath.Join(h.Dir, "cache"),
		"PATH=" + os.Getenv("PATH"),
		"TMPDIR=" + os.TempDir(),
		// Which mutant the code is, where .ci/mutate runs the tests.
		"MCPOAUTH_MUTANT=" + os.Getenv("MCPOAUTH_MUTANT"),
	}, h.Env...)
	return cmd
}
