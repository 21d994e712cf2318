// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// requireEnv lists, separated by commas, what a machine promises to have. CI sets it, so
// that a test that would be skipped there fails instead.
const requireEnv = "MCPOAUTH_REQUIRE"

// Need returns the path of the first of the commands that exists. Where none does, the
// test is skipped, unless the environment variable MCPOAUTH_REQUIRE names what, which
// makes it fail.
func Need(t testing.TB, what string, commands ...string) string {
	t.Helper()
	for _, c := range commands {
		if path, err := exec.LookPath(c); err == nil {
			return path
		}
	}
	if slices.Contains(strings.Split(os.Getenv(requireEnv), ","), what) {
		t.Fatalf("%s names %s, but none of %v is installed", requireEnv, what, commands)
	}
	t.Skipf("%s is not installed (looked for %v)", what, commands)
	return ""
}

// nodeModulesEnv names a folder with the npm packages that tests use.
const nodeModulesEnv = "MCPOAUTH_NODE_MODULES"

// Node returns the path of Node.js, and the folder with npm packages that the environment
// variable MCPOAUTH_NODE_MODULES names. Where one of them is missing, the test is skipped
// or fails as with Need.
func Node(t testing.TB) (node, modules string) {
	t.Helper()
	node = Need(t, "node", "node")
	if modules = os.Getenv(nodeModulesEnv); modules != "" {
		return node, modules
	}
	if slices.Contains(strings.Split(os.Getenv(requireEnv), ","), "node") {
		t.Fatalf("%s names node, but %s names no folder", requireEnv, nodeModulesEnv)
	}
	t.Skipf("%s names no folder with npm packages", nodeModulesEnv)
	return "", ""
}
