// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// failover is the way of clients to two nodes: in turn, and to the other one where a
// connection breaks before there is an answer.
type failover struct {
	*nodes
	turn   atomic.Int64
	served [2]atomic.Int64
	// patient clients try again while there is no answer, or it is 503, as Retry-After says.
	patient bool
}

// RoundTrip implements http.RoundTripper.
func (f *failover) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != f.addr {
		return f.transport.RoundTrip(r)
	}
	given, again := time.After(2*patience), time.NewTicker(200*time.Millisecond)
	defer again.Stop()
	for {
		resp, err := f.either(r)
		if !f.patient || err == nil && resp.StatusCode != http.StatusServiceUnavailable {
			return resp, err
		}
		select {
		case <-given:
			return resp, err
		case <-again.C:
			if err == nil {
				resp.Body.Close()
			}
		}
	}
}

func (f *failover) either(r *http.Request) (*http.Response, error) {
	first := int(f.turn.Add(1)) % 2
	resp, err := f.ask(first, r)
	if err == nil {
		return resp, nil
	}
	resp, again := f.ask(1-first, r)
	if again != nil {
		return nil, errors.Join(err, again)
	}
	return resp, nil
}

func (f *failover) ask(node int, r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Host, out.Host = f.addrs[node], f.addr
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	resp, err := f.transport.RoundTrip(out)
	if err == nil {
		f.served[node].Add(1)
	}
	return resp, err
}

// Two nodes are upgraded one after the other, and nobody is logged out: while one is away
// the other does all of the work, whoever signed in where. The same when one dies.
func TestNodesAreUpgradedInTurn(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, end := range map[string]func(*caddyrun.Caddy, testing.TB){
		"stop": (*caddyrun.Caddy).Stop, "kill": (*caddyrun.Caddy).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNodes(t, "store redis redis://"+server.Addr+" {\nprefix "+name+"\n}\n")
			// A node that dies while it asks the provider about a session leaves a lease behind,
			// which holds up the next refresh of that session until it ends.
			way := &failover{nodes: n, patient: name == "kill"}
			l := newLoad(n.world, way, 6)
			more := [kinds]int64{refreshes: 10, calls: 10}
			if name == "stop" {
				// A code whose answer is lost with its server must not be shown again.
				l.run(logins, 1, 0)
				more[logins] = 1
			}
			l.run(refreshes, 2, 0)
			l.run(calls, 1, 5*time.Millisecond)
			for range 2 {
				for node := range n.caddy {
					l.awaitWork(more)
					end(n.caddy[node], t)
					l.awaitWork(more)
					n.caddy[node] = n.caddy[node].Home.Start(t, n.texts[node])
					served := way.served[node].Load()
					l.awaitWork(more)
					eventually(t, "the node serves again", func() bool { return way.served[node].Load() > served+10 })
				}
			}
			l.end()
			l.check()
			t.Logf("logins %d, refreshes %d, calls %d", l.done[logins].Load(), l.done[refreshes].Load(), l.done[calls].Load())
			if t.Failed() {
				t.Logf("%s\n%s", n.caddy[0].Output(), n.caddy[1].Output())
			}
		})
	}
}
