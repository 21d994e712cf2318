// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net/http"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
)

// stores are the variants of what depends on the store.
var stores = []struct{ name, host string }{{"memory", memoryHost}, {"file", fileHost}}

var plain = struct {
	sync.Mutex
	clients map[string]*client
}{clients: map[string]*client{}}

// clientOf returns a client of a site with the minimal configuration. All benchmarks
// share it and the state of its site.
func clientOf(tb testing.TB, host string) *client {
	tb.Helper()
	plain.Lock()
	defer plain.Unlock()
	if c := plain.clients[host]; c != nil {
		return c
	}
	c, err := newClient(siteWith(tb, host, ""))
	if err != nil {
		tb.Fatal(err)
	}
	plain.clients[host] = c
	return c
}

// siteWith provisions one more handler over the state of a site.
func siteWith(tb testing.TB, host, words string) *site {
	tb.Helper()
	s, err := provision(host, words)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

var signedIn = struct {
	sync.Mutex
	tokens map[string][]string
}{tokens: map[string][]string{}}

// accessTokens returns n access tokens of a site, each of another sign-in. They are made
// once and last for the whole run.
func accessTokens(tb testing.TB, host string, n int) []string {
	tb.Helper()
	c := clientOf(tb, host)
	signedIn.Lock()
	defer signedIn.Unlock()
	have := signedIn.tokens[host]
	missing := make([]string, max(n-len(have), 0))
	var g errgroup.Group
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for i := range missing {
		g.Go(func() error {
			p, err := c.signIn()
			missing[i] = p.Access
			return err
		})
	}
	if err := g.Wait(); err != nil {
		tb.Fatal(err)
	}
	have = append(have, missing...)
	signedIn.tokens[host] = have
	return have[:n]
}

// TestWalk makes sure that what the benchmarks measure works: a sign-in, a refresh and a
// guarded request on each store.
func TestWalk(t *testing.T) {
	for _, store := range stores {
		c := clientOf(t, store.host)
		first, err := c.signIn()
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.refresh(first.Refresh)
		if err != nil {
			t.Fatal(err)
		}
		for token, want := range map[string]int{
			first.Access: http.StatusOK, second.Access: http.StatusOK, forged(second.Access): http.StatusUnauthorized,
		} {
			newCall(t, c.site, token).send(t, want)
		}
		if second.Access == first.Access {
			t.Error("the access token did not change")
		}
	}
}
