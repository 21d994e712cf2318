// SPDX-License-Identifier: Apache-2.0

// Package caddyrun runs real Caddy processes in tests. The test binary executes itself
// again as the caddy command, so that the process under test contains exactly the code
// that was just compiled, and restarts, crashes and two nodes can be tested without a
// separate build.
//
// A test package that uses it links the modules that it needs and hands over its main:
//
//	import _ "github.com/caddyserver/caddy/v2/modules/standard"
//
//	func TestMain(m *testing.M) { caddyrun.Main(m) }
package caddyrun

import (
	"io"
	"os"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// reexecuted is set in the environment of a child: to "server" where the child ends with
// its parent, to "command" where the parent waits for it.
const reexecuted = "MCPOAUTH_CADDY"

// lifeline is the file descriptor of a server whose other end its parent holds.
const lifeline = 3

// FirstFile is the descriptor of the first of Home.Files.
const FirstFile = lifeline + 1

// Main is the body of TestMain: in a child it is the caddy command, otherwise it runs
// the tests. It does not return.
func Main(m *testing.M) {
	if os.Getenv(reexecuted) == "" {
		os.Exit(m.Run())
	}
	if os.Getenv(reexecuted) == "server" {
		go exitWithParent()
	}
	caddycmd.Main()
	os.Exit(0)
}

// exitWithParent keeps a test binary that panics or is killed from leaving servers
// behind: the other end of the pipe closes with the process that holds it.
func exitWithParent() {
	f := os.NewFile(lifeline, "lifeline")
	_, _ = io.Copy(io.Discard, f)
	os.Exit(1)
}
