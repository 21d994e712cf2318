// SPDX-License-Identifier: Apache-2.0

// Package azuretest starts the emulators of the services that stores on Azure need. They
// are programs for Node, which MCPOAUTH_NODE_MODULES says where to find.
package azuretest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// modulesEnv names the node_modules folder that the emulators are installed in.
const modulesEnv = "MCPOAUTH_NODE_MODULES"

// Account and Key are those of Azurite, which are public knowledge.
const (
	Account = "devstoreaccount1"
	Key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Azurite starts the emulator of Azure Storage and returns the address of its Table
// service. It ends with the test.
func Azurite(t testing.TB) string {
	t.Helper()
	program := find(t, "azurite", "azurite-table")
	port := start(t, program, func(port int) []string {
		return []string{"--tableHost", "127.0.0.1", "--tablePort", strconv.Itoa(port),
			"--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"}
	})
	return fmt.Sprintf("http://127.0.0.1:%d/%s", port, Account)
}

// Cosmos starts the emulator of Cosmos DB for NoSQL and returns its address. It ends with
// the test. It closes every connection after one answer, so it speaks plain HTTP: with TLS
// tests would be busy with handshakes.
func Cosmos(t testing.TB) string {
	t.Helper()
	program := find(t, "cosmos", "cosmosdb-server")
	port := start(t, program, func(port int) []string {
		return []string{"--host", "127.0.0.1", "--port", strconv.Itoa(port), "--no-ssl"}
	})
	return fmt.Sprintf("http://127.0.0.1:%d/", port)
}

// find returns the path of a program, or ends the test as mcptest.Need does.
func find(t testing.TB, what, program string) string {
	t.Helper()
	mcptest.Need(t, what, "node")
	if modules := os.Getenv(modulesEnv); modules != "" {
		return mcptest.Need(t, what, filepath.Join(modules, ".bin", program))
	}
	return mcptest.Need(t, what, program)
}

// start runs a program on a port that is free, and waits until it listens.
func start(t testing.TB, program string, args func(port int) []string) int {
	t.Helper()
	var said string
	// Somebody else may take the port before the program does.
	for range 3 {
		port := freePort(t)
		p := run(t, program, args(port))
		if p.listens(t, port) {
			return port
		}
		said = p.output()
	}
	t.Fatalf("%s does not start:\n%s", program, said)
	return 0
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// process is a program that runs until the end of the test.
type process struct {
	ended chan struct{}
	mu    sync.Mutex
	out   bytes.Buffer
}

func run(t testing.TB, program string, args []string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	p := &process{ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // it is killed
		close(p.ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-p.ended
	})
	return p
}

// Write implements io.Writer.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// listens waits until the program takes connections, or tells that it ended.
func (p *process) listens(t testing.TB, port int) bool {
	t.Helper()
	timeout := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return false
		case <-timeout:
			t.Fatalf("the program takes no connection:\n%s", p.output())
		case <-tick.C:
			c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
			if err == nil {
				_ = c.Close()
				return true
			}
		}
	}
}
