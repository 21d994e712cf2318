// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// loading is the order of the load generator of this program.
type loading struct {
	Addr, Tokens string
	Conns        int
	Duration     time.Duration
	// Rate is requests per second over all connections; 0 sends each as soon as the
	// answer to the one before is there.
	Rate int
}

// playLoad generates load and prints what it saw.
func playLoad(args []string) error {
	var l loading
	if err := json.Unmarshal([]byte(args[0]), &l); err != nil {
		return err
	}
	tokens, err := readLines(l.Tokens)
	if err != nil {
		return err
	}
	r, err := l.run(rawCalls(l.Addr, tokens))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// rawCalls are the tool calls with each of the tokens, as they go over the wire.
func rawCalls(addr string, tokens []string) (raw [][]byte) {
	var head strings.Builder
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", callPath, addr, len(call))
	for i := 0; i < len(callHeaders); i += 2 {
		fmt.Fprintf(&head, "%s: %s\r\n", callHeaders[i], callHeaders[i+1])
	}
	for _, t := range tokens {
		raw = append(raw, []byte(head.String()+"Authorization: Bearer "+t+"\r\n\r\n"+call))
	}
	return raw
}

func (l loading) run(raw [][]byte) (result, error) {
	var mu sync.Mutex
	var work sync.WaitGroup
	var all []time.Duration
	var errs int
	var last error
	began := clock.System()
	end := began.Add(l.Duration)
	for i := range l.Conns {
		work.Go(func() {
			c := caller{loading: l, raw: raw, at: i * len(raw) / l.Conns, began: began, end: end, index: i}
			err := c.run()
			mu.Lock()
			defer mu.Unlock()
			all = append(all, c.latencies...)
			errs += c.errors
			if err != nil {
				errs++
				last = err
			}
		})
	}
	work.Wait()
	if len(all) == 0 {
		return result{}, fmt.Errorf("no request was answered: %w", last)
	}
	slices.Sort(all)
	micros := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))]) / float64(time.Microsecond) }
	return result{Requests: len(all), Seconds: clock.System().Sub(began).Seconds(), P50: micros(0.5), P99: micros(0.99), Errors: errs}, nil
}

// caller is one connection.
type caller struct {
	loading
	raw        [][]byte
	at, index  int
	began, end time.Time
	latencies  []time.Duration
	errors     int
}

func (c *caller) run() error {
	conn, err := net.Dial("tcp", c.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for n := 0; ; n++ {
		from := c.due(n)
		// One request at least, however slow the machine.
		if n > 0 && !from.Before(c.end) {
			return nil
		}
		if _, err := conn.Write(c.raw[c.at]); err != nil {
			return err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			c.errors++
		}
		c.latencies = append(c.latencies, clock.System().Sub(from))
		c.at = (c.at + 1) % len(c.raw)
	}
}

// due waits until the nth request of the connection is due and returns from when its
// time counts. Where the answer before came too late that is when it should have been
// sent, so that a server that stalls is not asked less and thereby judged better. Where
// this program alone is late it is now.
func (c *caller) due(n int) time.Time {
	now := clock.System()
	if c.Rate == 0 {
		return now
	}
	interval := time.Duration(c.Conns) * time.Second / time.Duration(c.Rate)
	at := c.began.Add(interval*time.Duration(n) + interval*time.Duration(c.index)/time.Duration(c.Conns))
	if !now.Before(at) {
		return at
	}
	t := time.NewTimer(at.Sub(now))
	<-t.C
	return clock.System()
}
