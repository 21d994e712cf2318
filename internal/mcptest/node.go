// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// nodeModulesEnv names a folder with the npm packages that tests use.
const nodeModulesEnv = "MCPOAUTH_NODE_MODULES"

// node returns the path of Node.js, and the folder with npm packages that the environment
// variable MCPOAUTH_NODE_MODULES names. Where one of them is missing, the test is skipped
// or fails as with Need.
func node(t testing.TB) (program, modules string) {
	t.Helper()
	program = Need(t, "node", "node")
	if modules = os.Getenv(nodeModulesEnv); modules != "" {
		return program, modules
	}
	Absent(t, "node", nodeModulesEnv+" names no folder with npm packages")
	return "", ""
}

// RunNode runs main, one of the modules in files, with Node.js and the npm packages of the
// tests, and decodes what it prints into out. Its standard input is input as JSON. The test
// is skipped where Node.js or the packages are missing.
func RunNode(t testing.TB, files map[string]string, main string, input, out any) {
	t.Helper()
	program, modules := node(t)
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A package is looked for beside the file that imports it.
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	stdin, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, main)
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, bytes.NewReader(stdin), os.Stderr
	printed, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(printed, out)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", main, err, printed)
	}
}
