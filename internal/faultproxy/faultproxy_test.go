// SPDX-License-Identifier: Apache-2.0

package faultproxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/faultproxy"
)

// echo answers every line with the line and counts them.
type echo struct {
	net.Listener
	seen atomic.Int64
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					e.seen.Add(1)
					_, _ = fmt.Fprintln(c, lines.Text())
				}
			}()
		}
	}()
	return e
}

type client struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, p *faultproxy.Proxy) *client {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &client{Conn: c, lines: bufio.NewReader(c)}
}

// ask sends a line and waits for the answer.
func (c *client) ask(line string) error {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return err
	}
	got, err := c.lines.ReadString('\n')
	if err == nil && got != line+"\n" {
		err = fmt.Errorf("the answer to %q is %q", line, got)
	}
	return err
}

func wantNil(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPass(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, newEcho(t).Addr().String())
	c := dial(t, p)
	for n := range 10 {
		wantNil(t, c.ask(fmt.Sprint("line ", n)))
	}
	if n := p.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// The server has seen the request; the client sees a reset.
func TestDropReply(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	p := faultproxy.New(t, e.Addr().String())
	c := dial(t, p)
	wantNil(t, c.ask("one"))
	p.Once(faultproxy.DropReply)
	if err := c.ask("two"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error is %v, want a reset", err)
	}
	if n := e.seen.Load(); n != 2 {
		t.Errorf("the server saw %d lines, want 2", n)
	}
	wantNil(t, dial(t, p).ask("three"))
}

// The server has not seen the request.
func TestReset(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	p := faultproxy.New(t, e.Addr().String())
	p.Set(faultproxy.Reset)
	for range 2 {
		if err := dial(t, p).ask("one"); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("error is %v, want a reset", err)
		}
	}
	if n := e.seen.Load(); n != 0 {
		t.Errorf("the server saw %d lines", n)
	}
	p.Set(faultproxy.Pass)
	wantNil(t, dial(t, p).ask("two"))
}

func TestSilence(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, newEcho(t).Addr().String())
	c := dial(t, p)
	p.Set(faultproxy.Silence)
	wantNil(t, c.SetDeadline(clock.System().Add(50*time.Millisecond)))
	if err := c.ask("one"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error is %v, want silence", err)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, newEcho(t).Addr().String())
	c := dial(t, p)
	p.SetDelay(30 * time.Millisecond)
	p.Set(faultproxy.Delay)
	start := clock.System()
	wantNil(t, c.ask("one"))
	if took := clock.System().Sub(start); took < 30*time.Millisecond {
		t.Errorf("the answer came after %v", took)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, newEcho(t).Addr().String())
	c := dial(t, p)
	wantNil(t, c.ask("one"))
	p.Cut()
	if err := c.ask("two"); err == nil {
		t.Error("the connection lives")
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	first, second := newEcho(t), newEcho(t)
	p := faultproxy.New(t, first.Addr().String())
	wantNil(t, dial(t, p).ask("one"))
	p.SetTarget(second.Addr().String())
	wantNil(t, dial(t, p).ask("two"))
	if first.seen.Load() != 1 || second.seen.Load() != 1 {
		t.Errorf("the servers saw %d and %d lines", first.seen.Load(), second.seen.Load())
	}
	wantNil(t, second.Close())
	// The proxy may be quicker to give the connection up than the client to have it.
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return
	}
	defer c.Close()
	if err := (&client{Conn: c, lines: bufio.NewReader(c)}).ask("three"); err == nil {
		t.Error("an answer without a server")
	}
}
