// SPDX-License-Identifier: Apache-2.0

package caddyrun

import (
	"fmt"
	"net"
	"runtime"
	"testing"
)

// A port of a test goes to no other socket, and the test can listen on it, twice.
func TestFreePort(t *testing.T) {
	t.Parallel()
	port := FreePort(t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	for range 2 {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	if runtime.GOOS != "linux" {
		return
	}
	for range 500 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if l.Addr().String() == addr || FreePort(t) == port {
			t.Fatal("the port was given away")
		}
	}
}
