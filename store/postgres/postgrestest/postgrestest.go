// SPDX-License-Identifier: Apache-2.0

//go:build unix

// Package postgrestest runs a real PostgreSQL server for tests, on loopback, with its data
// in a directory of its own.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// Password is that of the superuser postgres.
const Password = "not-a-secret"

// patience bounds what can hang, far above what anything takes.
const patience = 60 * time.Second

// Server is a PostgreSQL server.
type Server struct {
	// Port is where it listens on 127.0.0.1, Sockets the directory of its socket.
	Port    int
	Sockets string

	bin, dir string
	owner    *syscall.Credential
	cmd      *exec.Cmd
	life     io.Closer
	log      *os.File
}

// Start makes a new database cluster and starts a server on it, both of which end with
// the test. Where PostgreSQL is not installed the test is skipped, or fails if
// MCPOAUTH_REQUIRE names postgres.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{bin: filepath.Dir(need(t)), Port: caddyrun.FreePort(t)}
	var err error
	// Not t.TempDir: the server's user must be able to enter it, and the names of sockets
	// are limited to about 100 bytes.
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	s.Sockets = s.dir
	if err := s.init(); err != nil {
		t.Fatal(err)
	}
	s.Run(t)
	t.Cleanup(func() { s.stop(t, syscall.SIGQUIT) })
	return s
}

// need finds the server program, which Debian keeps off the PATH.
func need(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	slices.Sort(found)
	slices.Reverse(found)
	path, err := filepath.EvalSymlinks(mcptest.Need(t, "postgres", append(found, "postgres")...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// init makes the cluster. PostgreSQL refuses to run as root, so root lends it to another
// user.
func (s *Server) init() error {
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			u, err = user.Lookup("nobody")
		}
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.dir, uid, gid); err != nil {
			return err
		}
	}
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := s.command(ctx, "initdb", "--pgdata", s.data(), "--username=postgres", "--pwfile", password,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + s.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return cmd
}

// lifeline runs the server, and ends it when the pipe to the test closes: a test that is
// killed must not leave a server behind.
const lifeline = `exec 3<&0; "$@" 3<&- </dev/null & pid=$!; { cat <&3 >/dev/null; kill -QUIT $pid; } & wait $pid; kill $! 2>/dev/null`

// Run starts a server that was stopped and returns when it answers. settings are
// configuration parameters, such as "max_connections=20".
func (s *Server) Run(t testing.TB, settings ...string) {
	t.Helper()
	args := []string{
		"-D", s.data(), "-p", strconv.Itoa(s.Port), "-k", s.Sockets, "-c", "listen_addresses=127.0.0.1",
		"-c", "max_connections=300", "-c", "max_wal_size=128MB",
	}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	var err error
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		t.Fatal(err)
	}
	s.cmd = s.command(context.Background(), "postgres")
	s.cmd.Args = append([]string{"sh", "-c", lifeline, "sh", s.cmd.Path}, args...)
	s.cmd.Path = "/bin/sh"
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if s.life, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.await(t)
}

// await returns once the server answers.
func (s *Server) await(t testing.TB) {
	t.Helper()
	deadline, again := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for {
		ready := s.command(t.Context(), "pg_isready", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-t", "5")
		if t.Context().Err() != nil || ready.Run() == nil {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("PostgreSQL does not answer\n%s", s.Log())
		}
	}
}

// Stop ends the server as an administrator does: connections break, and transactions
// that are under way are rolled back.
func (s *Server) Stop(t testing.TB) { s.stop(t, syscall.SIGINT) }

// Crash ends the server as a loss of power does.
func (s *Server) Crash(t testing.TB) { s.stop(t, syscall.SIGQUIT) }

func (s *Server) stop(t testing.TB, how syscall.Signal) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.signal(how); err != nil {
		t.Errorf("PostgreSQL: %v\n%s", err, s.Log())
	}
	var exit *exec.ExitError
	if err := s.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Errorf("PostgreSQL: %v", err)
	}
	s.life.Close()
	s.log.Close()
	s.cmd = nil
}

// signal sends a signal to the server process, whose id is the first line of its lock file.
func (s *Server) signal(how syscall.Signal) error {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return err
	}
	return syscall.Kill(pid, how)
}

// Standby makes the stopped server a replica that follows nobody.
func (s *Server) Standby(t testing.TB) {
	t.Helper()
	signal := filepath.Join(s.data(), "standby.signal")
	if err := os.WriteFile(signal, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// DSN is the URL of a database for the superuser.
func (s *Server) DSN(database string) string { return s.DSNOf("postgres", Password, database) }

// DSNOf is the URL of a database for a user.
func (s *Server) DSNOf(name, password, database string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s", name, password, s.Port, database)
}

// SQL runs statements in a database as the superuser, with psql, and returns what they
// print.
func (s *Server) SQL(t testing.TB, database, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := s.command(ctx, "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1",
		"--single-transaction", "--file", "-", s.DSN(database))
	cmd.Stdin = bytes.NewReader([]byte(text))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return string(out)
}

// Create makes a database.
func (s *Server) Create(t testing.TB, database string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := s.command(ctx, "psql", "--no-psqlrc", "--quiet", "--command", "CREATE DATABASE "+database, s.DSN("postgres"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
}

// Log is what the server has written.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text)
}
