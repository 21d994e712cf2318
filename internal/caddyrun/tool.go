// SPDX-License-Identifier: Apache-2.0

package caddyrun

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// Tool runs one command of Caddy on text as a Caddyfile, with input as its standard
// input, and returns what it wrote to its standard output and to its standard error. A
// server that this home runs is found by its admin endpoint.
func (h *Home) Tool(t testing.TB, text string, input []byte, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := h.command(ctx, t, append(args, "--config", file, "--adapter", "caddyfile")...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &problems
	err = cmd.Run()
	return out.String(), problems.String(), err
}
