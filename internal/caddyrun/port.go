// SPDX-License-Identifier: Apache-2.0

package caddyrun

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// given are the ports that a test has.
var given sync.Map

// FreePort returns a loopback port for a server that cannot listen on port 0 because its
// own URL must be known before. No other test has it, and it is below those that systems
// hand out for connections: tests run side by side, and a server may need its port twice.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 20_000 + rand.IntN(12_000)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// FreeAddr returns a loopback address with a FreePort.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", FreePort(t))
}
