// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// flooding is the order of the generator of invented tokens.
type flooding struct {
	Addr string
	// Token is a real one: the invented ones begin like it, so that they name a key that
	// exists and a person who is signed in, and only their authenticator is wrong.
	Token    string
	Conns    int
	Rate     int // a second, over all connections
	Duration time.Duration
}

// flooded is what came of it.
type flooded struct {
	Sent, Refused int64
	PerSecond     float64
}

// headLength is how much of a token names its type, key, record and generation: a prefix
// and 24 bytes.
const headLength = len(tokenPrefix) + 32

// invented is a token that nobody issued, another one at each call.
func invented(real string, r *mathrand.Rand) string {
	return real[:headLength] + invent(r)[:len(real)-headLength]
}

// beat is how often a paced generator looks what is due.
const beat = time.Millisecond

func playFlood(args []string) error {
	var f flooding
	if err := json.Unmarshal([]byte(args[0]), &f); err != nil {
		return err
	}
	var sent, refused atomic.Int64
	var work errgroup.Group
	began := clock.System()
	for i := range f.Conns {
		work.Go(func() error { return f.connection(i, began, &sent, &refused) })
	}
	if err := work.Wait(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(flooded{
		Sent: sent.Load(), Refused: refused.Load(), PerSecond: float64(refused.Load()) / clock.System().Sub(began).Seconds(),
	})
}

// connection sends what is due without waiting for answers (HTTP pipelining), as a
// flood does, but leaves no more than a few hundred unanswered.
func (f flooding) connection(i int, began time.Time, sent, refused *atomic.Int64) error {
	conn, err := net.Dial("tcp", f.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	const pending = 512
	open := make(chan struct{}, pending)
	var work errgroup.Group
	work.Go(func() error { return readRefusals(conn, open, refused) })
	random := mathrand.New(mathrand.NewPCG(uint64(i), uint64(began.UnixNano())))
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\nAuthorization: Bearer ", callPath, f.Addr)
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	var batch []byte
	for done := 0; ; <-ticks.C {
		since := clock.System().Sub(began)
		if since >= f.Duration {
			break
		}
		batch = batch[:0]
		due := int(since.Seconds() * float64(f.Rate) / float64(f.Conns))
		for ; done < due && len(batch) < 64<<10; done++ {
			select {
			case open <- struct{}{}:
				batch = append(batch, head...)
				batch = append(batch, invented(f.Token, random)...)
				batch = append(batch, "\r\n\r\n{}"...)
				sent.Add(1)
				continue
			default:
			}
			break
		}
		if _, err := conn.Write(batch); err != nil {
			return err
		}
	}
	close(open)
	return work.Wait()
}

// readRefusals reads one answer for each request until there will be no more.
func readRefusals(conn net.Conn, open <-chan struct{}, refused *atomic.Int64) error {
	in := bufio.NewReaderSize(conn, 64<<10)
	for range open {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode == http.StatusUnauthorized {
			refused.Add(1)
		}
	}
	return nil
}
