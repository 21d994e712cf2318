// SPDX-License-Identifier: Apache-2.0

package faultproxy

import (
	"net"
	"sync/atomic"
	"time"
)

// pair is one connection of a client and its connection to the server.
type pair struct {
	proxy          *Proxy
	client, server net.Conn
	// pending is the Mode that a request has ordered for its reply.
	pending atomic.Int64
}

// requests forwards from client to server.
func (p *pair) requests() {
	defer closeWrite(p.server)
	forward(p.client, p.server, func() bool {
		mode := p.proxy.next()
		switch mode {
		case Reset:
			p.reset()
			return false
		case Silence:
			return false
		default:
			p.pending.Store(int64(mode))
			return true
		}
	})
}

// replies forwards from server to client.
func (p *pair) replies() {
	defer closeWrite(p.client)
	forward(p.server, p.client, func() bool {
		mode, delay := p.proxy.now()
		if ordered := Mode(p.pending.Swap(int64(Pass))); ordered != Pass {
			mode = ordered
		}
		switch mode {
		case DropReply, Reset:
			p.reset()
			return false
		case Silence:
			return false
		case Delay:
			p.pause(delay)
			return true
		default:
			return true
		}
	})
}

func (p *pair) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.proxy.closed:
	}
}

// forward copies what arrives and is let through until an end of the connection.
func forward(from, to net.Conn, through func() bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && through() {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *pair) reset() {
	reset(p.client)
	reset(p.server)
}

func (p *pair) end() {
	_ = p.client.Close()
	_ = p.server.Close()
}

// reset closes a connection so that the other side sees a reset and not an end.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func closeWrite(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}
