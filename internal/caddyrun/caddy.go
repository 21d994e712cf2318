// SPDX-License-Identifier: Apache-2.0

package caddyrun

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Caddy is a running server.
type Caddy struct {
	*Home

	cmd    *exec.Cmd
	output *output
	exited chan struct{}
	err    error // of the process, valid once exited is closed
}

// Start runs text as the home's Caddyfile and returns when it serves.
func (h *Home) Start(t testing.TB, text string) *Caddy {
	t.Helper()
	c, err := h.TryStart(t, text)
	if err != nil {
		t.Fatalf("caddy did not start: %v\n%s", err, c.Output())
	}
	return c
}

// TryStart is Start for a configuration that may be refused: the error says how the
// process ended, the output of the returned Caddy why.
func (h *Home) TryStart(t testing.TB, text string) (*Caddy, error) {
	t.Helper()
	ready, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	nonce := rand.Text()
	ctx, cancel := context.WithCancel(context.Background())
	c := &Caddy{Home: h, output: newOutput(), exited: make(chan struct{})}
	c.cmd = h.command(ctx, t, "run", "--config", h.Caddyfile(t, text), "--adapter", "caddyfile",
		"--pingback", ready.Addr().String())
	c.cmd.Stdin = strings.NewReader(nonce)
	c.cmd.Stdout, c.cmd.Stderr = c.output, c.output
	c.launch(t)
	t.Cleanup(func() { cancel(); <-c.exited })
	return c, c.awaitReady(ready, nonce)
}

// launch starts the process, tied to this one by a pipe, and watches it.
func (c *Caddy) launch(t testing.TB) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		c.cmd.ExtraFiles = append([]*os.File{read}, c.Files...)
		c.cmd.Env = append(c.cmd.Env, reexecuted+"=server")
	}
	err = c.cmd.Start()
	read.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c.err = c.cmd.Wait()
		write.Close()
		c.output.close()
		close(c.exited)
	}()
}

// awaitReady waits for what `caddy start` waits for: the server connects to the
// listener and echoes the nonce once its configuration runs.
func (c *Caddy) awaitReady(ready net.Listener, nonce string) error {
	echoed := make(chan error, 1)
	go func() {
		conn, err := ready.Accept()
		if err != nil {
			echoed <- err
			return
		}
		defer conn.Close()
		got, err := io.ReadAll(io.LimitReader(conn, 64))
		if err == nil && !bytes.Equal(got, []byte(nonce)) {
			err = io.ErrUnexpectedEOF
		}
		echoed <- err
	}()
	select {
	case err := <-echoed:
		return err
	case <-c.exited:
		if c.err == nil {
			return io.ErrUnexpectedEOF
		}
		return c.err
	case <-time.After(patience):
		return context.DeadlineExceeded
	}
}

// Reload runs `caddy reload` with text and returns what it printed and its error. When
// it returns nil the new configuration serves.
func (c *Caddy) Reload(t testing.TB, text string) (string, error) {
	t.Helper()
	return c.run(t, "reload", "--config", c.Caddyfile(t, text), "--adapter", "caddyfile",
		"--address", c.admin)
}

// Stop asks the server to end, as a service manager does, and waits until it has.
func (c *Caddy) Stop(t testing.TB) {
	t.Helper()
	if out, err := c.run(t, "stop", "--address", c.admin); err != nil {
		t.Fatalf("caddy stop: %v\n%s", err, out)
	}
	c.wait(t)
}

// PID is the id of the server's process.
func (c *Caddy) PID() int { return c.cmd.Process.Pid }

// Kill ends the server without giving it a chance to tidy up.
func (c *Caddy) Kill(t testing.TB) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.wait(t)
}

func (c *Caddy) wait(t testing.TB) {
	t.Helper()
	select {
	case <-c.exited:
	case <-time.After(patience):
		t.Fatalf("caddy did not end\n%s", c.Output())
	}
}

// Output is everything that the server has written so far to stdout and stderr.
func (c *Caddy) Output() string { return c.output.String() }

// AwaitOutput returns once the server has written text, and fails the test where it
// ends before or takes too long.
func (c *Caddy) AwaitOutput(t testing.TB, text string) {
	t.Helper()
	if !c.output.await(text, patience) {
		t.Fatalf("caddy never wrote %q\n%s", text, c.Output())
	}
}
