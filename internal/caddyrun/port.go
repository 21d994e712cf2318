// SPDX-License-Identifier: Apache-2.0

package caddyrun

import (
	"fmt"
	"testing"
)

// FreePort returns a loopback TCP port for a server that cannot listen on port 0 because
// its own URL must be known before, or because it must find the port again after a
// restart. Until the end of the test the system gives the port to nobody who asks for any
// port, in whatever process; whoever names it can listen on it.
func FreePort(t testing.TB) int {
	t.Helper()
	port, release, err := reserve()
	if err != nil {
		t.Fatalf("no free port: %v", err)
	}
	t.Cleanup(release)
	return port
}

// FreeAddr returns a loopback address with a FreePort.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", FreePort(t))
}
