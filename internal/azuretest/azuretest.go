// SPDX-License-Identifier: Apache-2.0

// Package azuretest starts the emulators of the services that stores on Azure need. They
// are programs for Node, which MCPOAUTH_NODE_MODULES says where to find.
package azuretest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
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
		return []string{
			"--tableHost", "127.0.0.1", "--tablePort", strconv.Itoa(port),
			"--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry",
		}
	})
	return fmt.Sprintf("http://127.0.0.1:%d/%s", port, Account)
}

// Cosmos starts the emulator of Cosmos DB for NoSQL behind a proxy that makes it like the
// service where tests need that. It ends with the test. It closes every connection after
// one answer, so it speaks plain HTTP: with TLS tests would be busy with handshakes.
func Cosmos(t testing.TB) *Service {
	t.Helper()
	program := find(t, "cosmos", "cosmosdb-server")
	port := start(t, program, func(port int) []string {
		return []string{"--host", "127.0.0.1", "--port", strconv.Itoa(port), "--no-ssl"}
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return Proxy(t, "http://"+address, func(r *http.Response, self string) error {
		if r.Request.Method != http.MethodGet || r.Request.URL.Path != "/" {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		_ = r.Body.Close()
		// It says that it is consistent by session, and is in fact strongly consistent.
		body = bytes.Replace(body, []byte(`"Session"`), []byte(`"Strong"`), 1)
		body = bytes.ReplaceAll(body, []byte(address), []byte(self))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return nil
	})
}

// Service is an emulator behind a proxy that counts.
type Service struct {
	// URL is where the proxy is.
	URL      string
	requests atomic.Int64
}

// Requests is how many requests have come.
func (s *Service) Requests() int { return int(s.requests.Load()) }

// Proxy starts a proxy in front of a service. change, if any, may alter answers; self is
// host and port of the proxy.
func Proxy(t testing.TB, target string, change func(r *http.Response, self string) error) *Service {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	service := &Service{}
	front := httptest.NewUnstartedServer(nil)
	self := front.Listener.Addr().String()
	own := &http.Transport{MaxIdleConnsPerHost: 64}
	proxy := &httputil.ReverseProxy{
		Transport: own,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host
			if r.In.Method == http.MethodGet {
				// Without this header the emulator of Cosmos DB fails with 500 where an item is
				// absent.
				r.Out.Header.Set("X-Ms-Documentdb-Query-Enablecrosspartition", "true")
			}
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	if change != nil {
		proxy.ModifyResponse = func(r *http.Response) error { return change(r, self) }
	}
	front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		service.requests.Add(1)
		proxy.ServeHTTP(w, r)
	})
	front.Start()
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		own.CloseIdleConnections()
	})
	service.URL = front.URL + u.Path
	return service
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

// start runs a program on a port of its own, and waits until it listens.
func start(t testing.TB, program string, args func(port int) []string) int {
	t.Helper()
	port := caddyrun.FreePort(t)
	p := run(t, program, args(port))
	if !p.listens(t, port) {
		t.Fatalf("%s does not start:\n%s", program, p.output())
	}
	return port
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
