// SPDX-License-Identifier: Apache-2.0

// Package redistest runs real Redis servers in tests: one alone, with TLS, with users, a
// group with Sentinel, a Cluster. Each listens on loopback, keeps its files in a directory
// of the test and ends with it.
package redistest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// patience bounds every wait, far above what anything takes.
const patience = 60 * time.Second

// Server is a redis-server process, or a redis-sentinel.
type Server struct {
	// Addr is its address, Socket the path of its unix socket.
	Addr, Socket string
	// Dir is where it keeps its files.
	Dir string

	command string
	args    []string
	lines   []string // of the configuration
	client  *redis.Options
	stdin   io.Closer
	process *exec.Cmd
}

// Start starts a server with further lines in its configuration, such as "requirepass x".
// It skips the test where redis-server is not installed, or fails it, see mcptest.Need.
func Start(t testing.TB, lines ...string) *Server {
	t.Helper()
	s := newServer(t, lines...)
	s.Run(t)
	return s
}

func newServer(t testing.TB, lines ...string) *Server {
	t.Helper()
	s := &Server{command: mcptest.Need(t, "redis", "redis-server"), Addr: caddyrun.FreeAddr(t), Dir: t.TempDir()}
	// The names of sockets are limited to about 100 bytes, which t.TempDir may exceed.
	sockets, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	s.Socket = filepath.Join(sockets, "redis.sock")
	_, port, _ := strings.Cut(s.Addr, ":")
	s.lines = append([]string{
		"bind 127.0.0.1", "port " + port, "dir " + s.Dir, "unixsocket " + s.Socket, `save ""`, "appendonly no", "enable-debug-command yes",
	}, lines...)
	s.client = &redis.Options{Addr: s.Addr}
	return s
}

// Run starts the process, also one that was killed, and returns when it answers.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	config := filepath.Join(s.Dir, "redis.conf")
	if _, err := os.Stat(config); err != nil { // a Sentinel rewrites its own
		if err := os.WriteFile(config, []byte(strings.Join(s.lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The shell ends the server when its own input ends, which it also does where the
	// test dies without tidying up.
	script := `exec 3<&0; "$@" </dev/null & read line <&3; kill -9 $!; wait`
	s.process = exec.Command("sh", append([]string{"-c", script, "sh", s.command, config}, s.args...)...)
	stdin, err := s.process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.process.Stdout, s.process.Stderr, s.stdin = log, log, stdin
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	s.await(t, "answers", func(ctx context.Context, c *redis.Client) bool {
		err := c.Ping(ctx).Err()
		return err == nil || strings.HasPrefix(err.Error(), "NOAUTH") || strings.HasPrefix(err.Error(), "NOPERM")
	})
}

// Kill ends the process as a crash does. It may be called again.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	s.stdin.Close()
	_ = s.process.Wait()
	s.process = nil
}

// Client is a plain connection to this very server.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	o := *s.client
	c := redis.NewClient(&o)
	t.Cleanup(func() { c.Close() })
	return c
}

// await returns when done says so.
func (s *Server) await(t testing.TB, what string, done func(context.Context, *redis.Client) bool) {
	t.Helper()
	o := *s.client
	o.MaxRetries, o.DialerRetries = -1, 1
	c := redis.NewClient(&o)
	defer c.Close()
	Eventually(t, fmt.Sprintf("redis at %s %s (log: %s)", s.Addr, what, filepath.Join(s.Dir, "log")), func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return done(ctx, c)
	})
}

// Eventually returns once done does, for what happens in another process in its own time.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline, again := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// silence keeps the library from writing to the output of tests that stop servers.
type silence struct{}

// Printf implements the logger of the library.
func (silence) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(silence{}) }
