// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// badSize is how many random requests go to the OAuth endpoints over each protocol.
var badSize = map[string]int{"h1": 80_000, "h2": 10_000, "h3": 10_000}

var quickBadSize = map[string]int{"h1": 3_000, "h2": 500, "h3": 500}

// TestBadInput sends what no client sends to every OAuth endpoint. Nothing is answered
// with a status above 499: even a full limit is 429, and 503 is for a store or provider
// that does not answer. Nothing panics, no backend sees any of it, and what people did
// before and meanwhile is still there afterwards, also after a restart.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// All requests come from one address, which says on whose behalf.
	text := w.caddyfile("registration {\nrate 100000 1m\n}\n")
	w.caddy = w.home.Start(t, text)
	w.emulator.SignInAs("anna@contoso.example")
	s := w.byName["root"]
	s.tokens = map[string]string{}
	b := &badInput{w: w, s: s, corpus: readCorpus(t, "testdata/badinput.txt")}
	b.keep(6)
	b.bait()
	s.prepare()
	for _, protocol := range []string{"h1", "h2", "h3"} {
		t.Run(protocol, func(t *testing.T) { b.run(t, protocol) })
		b.keep(2)
		b.alive("after " + protocol)
	}
	w.caddy.Stop(t)
	w.calm(t)
	w.transport.CloseIdleConnections()
	w.caddy = w.home.Start(t, text)
	b.alive("after a restart")
	w.caddy.Stop(t)
	w.calm(t)
}

// badInput is the campaign against the endpoints of one issuer.
type badInput struct {
	w      *world
	s      *site
	corpus []*request
	kept   []*session
}

// keep signs in n people whose sessions nothing may harm.
func (b *badInput) keep(n int) {
	b.w.t.Helper()
	client := b.w.register(b.s.issuer)
	for range n {
		got := b.w.signIn(b.s.issuer, b.s.resource(), client, "mcp notes")
		b.kept = append(b.kept, &got)
	}
}

// alive refreshes every session and uses its new token.
func (b *badInput) alive(when string) {
	b.w.t.Helper()
	for i, k := range b.kept {
		if status := b.w.renew(k); status != http.StatusOK {
			b.w.t.Errorf("%s: session %d cannot refresh: %d\n%s", when, i, status, b.w.caddy.Output())
			continue
		}
		req, err := http.NewRequestWithContext(b.w.ctx, http.MethodGet, b.s.resource(), nil)
		if err != nil {
			b.w.t.Fatal(err)
		}
		id := fmt.Sprintf("kept-%d", i)
		req.Header.Set("Authorization", "Bearer "+k.access)
		req.Header.Set(idHeader, id)
		resp, err := b.w.transport.RoundTrip(req)
		if err != nil {
			b.w.t.Fatal(err)
		}
		resp.Body.Close()
		if seen := b.w.arrived.take(id); resp.StatusCode != http.StatusOK || len(seen) != 1 {
			b.w.t.Errorf("%s: session %d cannot call: %d", when, i, resp.StatusCode)
		}
	}
}

// bait gets genuine values for the generator to misuse.
func (b *badInput) bait() {
	b.w.t.Helper()
	client := b.w.register(b.s.issuer)
	spent := b.w.signIn(b.s.issuer, b.s.resource(), client, "mcp notes")
	fresh := b.w.authorize(b.s.issuer, b.s.resource(), client, "mcp notes")
	b.s.tokens["client"], b.s.tokens["access"], b.s.tokens["refresh"] = client, spent.access, spent.refresh
	b.s.tokens["code"], b.s.tokens["verifier"], b.s.tokens["redirect"] = fresh.code, fresh.verifier, mcptest.RedirectURI
	for _, name := range []string{"login", "key", "cookie", "state"} {
		b.s.tokens[name] = b.pending(client)[name]
	}
}

// run sends the corpus and then random requests.
func (b *badInput) run(t *testing.T, protocol string) {
	total := len(b.corpus) + badSize[protocol]
	if quick() {
		total = len(b.corpus) + quickBadSize[protocol]
	}
	first := 0
	if only, n := one(t); only != "" {
		if only != protocol {
			return
		}
		first, total = n, n+1
	}
	var next, failures, answers atomic.Int64
	next.Store(int64(first))
	var byStatus [600]atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			c := newClient(protocol, b.s)
			defer c.close()
			for n := int(next.Add(1)) - 1; n < total && failures.Load() < maxFailures; n = int(next.Add(1)) - 1 {
				r := b.request(n, seed(t), protocol)
				if r == nil {
					continue
				}
				a, wrong := b.try(r, c, fmt.Sprintf("%s-bad-%d", protocol, n))
				for _, text := range wrong {
					failures.Add(1)
					t.Errorf("seed %d, case %s:%d: %s\n\t%.2000s", seed(t), protocol, n, text, r)
				}
				answers.Add(1)
				byStatus[a.status].Add(1)
			}
		})
	}
	wg.Wait()
	summary := ""
	for status := range byStatus {
		if n := byStatus[status].Load(); n > 0 {
			summary += fmt.Sprintf(" %d×%d", n, status)
		}
	}
	t.Logf("%d requests, answered%s", answers.Load(), summary)
}

// request is the case of a number; nil where it is not for the protocol.
func (b *badInput) request(n int, seed uint64, protocol string) *request {
	if n < len(b.corpus) {
		if r := b.corpus[n]; r.suits(protocol) {
			return r
		}
		return nil
	}
	return spoil(rand.New(rand.NewPCG(seed, uint64(n-len(b.corpus)))), protocol)
}

func (b *badInput) try(r *request, c client, id string) (a answer, wrong []string) {
	sent := r.expand(b.s, id)
	a, err := c.send(sent)
	if err != nil {
		return a, []string{"no answer: " + err.Error()}
	}
	if a.status >= 500 && !mayFail(b.s, sent, a.status) {
		wrong = append(wrong, fmt.Sprintf("answered %d", a.status))
	}
	if r.want != 0 && a.status != r.want {
		wrong = append(wrong, fmt.Sprintf("answered %d instead of %d", a.status, r.want))
	}
	if a.status == http.StatusTooManyRequests && len(values(a.fields, "Retry-After")) != 1 {
		wrong = append(wrong, "answered 429 without Retry-After")
	}
	for _, seen := range b.w.arrived.take(id) {
		wrong = append(wrong, "reached the backend: "+seen.target)
	}
	return a, wrong
}
