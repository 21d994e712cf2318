// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"fmt"
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
	Absent(t, what, fmt.Sprintf("none of %v is installed", commands))
	return ""
}

// Absent skips the test because something is missing, or fails it where the machine
// promised to have it.
func Absent(t testing.TB, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv(requireEnv), ","), what) {
		t.Fatalf("%s names %s, but %s", requireEnv, what, why)
	}
	t.Skipf("%s is missing: %s", what, why)
}
