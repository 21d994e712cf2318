// SPDX-License-Identifier: Apache-2.0

// Package faultproxy is a TCP proxy for tests that stands between a client and a server
// and breaks what passes by.
//
//	p := faultproxy.New(t, "127.0.0.1:6379")
//	client := connect(p.Addr())
//	p.Once(faultproxy.DropReply) // the next request is done, and its answer never comes
package faultproxy

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// Mode is what the proxy does with what passes by.
type Mode int

const (
	// Pass forwards everything.
	Pass Mode = iota
	// DropReply forwards a request and resets its connection when the reply comes: the
	// server has done what it was asked, and the client does not know.
	DropReply
	// Reset resets a connection when a request comes, which the server never sees.
	Reset
	// Silence forwards nothing and keeps the connections open.
	Silence
	// Delay forwards replies later, by what SetDelay says.
	Delay
)

// Proxy forwards from a loopback address of its own to a target.
type Proxy struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	target string
	mode   Mode
	once   []Mode
	delay  time.Duration
	pairs  map[*pair]struct{}
	closed chan struct{}
}

// New starts a proxy to a TCP address that ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, pairs: map[*pair]struct{}{}, closed: make(chan struct{})}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where clients connect: 127.0.0.1 and a port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set replaces the mode, for all connections, from the next request or reply on.
func (p *Proxy) Set(m Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.once = m, nil
}

// Once makes the next requests meet the given modes, one each, before the mode of Set
// counts again. A request is what arrives in one read, so a client that sends requests
// one by one is hit exactly.
func (p *Proxy) Once(modes ...Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.once = append(p.once, modes...)
}

// SetDelay is how long Delay keeps replies.
func (p *Proxy) SetDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// SetTarget changes where new connections go.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Cut resets all connections that there are.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pair := range p.pairs {
		pair.reset()
	}
}

// Connections tells how many there are.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pairs)
}

func (p *Proxy) close() {
	close(p.closed)
	_ = p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", target)
	if err != nil {
		reset(client)
		return
	}
	pair := &pair{proxy: p, client: client, server: server}
	p.mu.Lock()
	p.pairs[pair] = struct{}{}
	p.mu.Unlock()
	select {
	case <-p.closed: // Cut may have come before the pair was known
		pair.reset()
	default:
	}
	var both sync.WaitGroup
	both.Go(pair.requests)
	both.Go(pair.replies)
	both.Wait()
	pair.end()
	p.mu.Lock()
	delete(p.pairs, pair)
	p.mu.Unlock()
}

// next is the mode of a request.
func (p *Proxy) next() Mode {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.once) == 0 {
		return p.mode
	}
	m := p.once[0]
	p.once = p.once[1:]
	return m
}

// now is the mode of a reply whose request said nothing, and the delay.
func (p *Proxy) now() (Mode, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.delay
}
