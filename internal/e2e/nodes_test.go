// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// nodes are two servers with one store behind one origin. Requests go to them in turn,
// whoever sends them, or to the one that a test names.
type nodes struct {
	*world
	caddy [2]*caddyrun.Caddy
	homes [2]*caddyrun.Home
	addrs [2]string
	texts [2]string // their Caddyfiles

	mu   sync.Mutex
	next int
	only int // -1: in turn
	seen [2]int
}

const sharedKey = "encryption_key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"

// startNodes starts two servers with the words of a store.
func startNodes(t testing.TB, store string) *nodes {
	t.Helper()
	return newWorld(t).startNodes(t, store)
}

// startNodes starts two servers of w with the words of a store.
func (w *world) startNodes(t testing.TB, store string) *nodes {
	t.Helper()
	n := &nodes{world: w, only: -1}
	for i := range n.addrs {
		n.addrs[i] = caddyrun.FreeAddr(t)
		n.homes[i] = caddyrun.NewHome(t)
		n.texts[i] = globals("") + n.nodeSite(i, sharedKey+store)
		n.caddy[i] = n.homes[i].Start(t, n.texts[i])
	}
	n.world.caddy = n.caddy[0]
	balancer := &http.Server{Addr: n.addr, Handler: n.balancer()}
	done := make(chan error, 1)
	go func() { done <- balancer.ListenAndServe() }()
	t.Cleanup(func() { balancer.Close(); <-done })
	eventually(t, "the balancer listens", func() bool {
		resp, err := (&http.Client{Transport: n.transport}).Get(n.origin + "/.well-known/oauth-authorization-server/oauth")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	return n
}

// nodeSite is the site of one node, at an address of its own.
func (n *nodes) nodeSite(i int, words string) string {
	_, port, _ := net.SplitHostPort(n.addrs[i])
	return strings.Replace(n.site(words), n.origin+" {", "http://:"+port+" {", 1)
}

// balancer forwards with the public Host, as a load balancer does.
func (n *nodes) balancer() http.Handler {
	// A transport of its own: servers of other tests close connections of the default one when they end.
	return &httputil.ReverseProxy{Transport: n.transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: n.addrs[n.pick()]})
		r.Out.Host = r.In.Host
	}}
}

func (n *nodes) pick() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := n.only
	if i < 0 {
		i = n.next
		n.next = 1 - n.next
	}
	n.seen[i]++
	return i
}

// to sends what follows to one node, or to both in turn.
func (n *nodes) to(node int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.only = node
}

// Two nodes behind a round robin are one server: whatever began on one goes on on the
// other.
func TestTwoNodesOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := startNodes(t, "store redis redis://"+server.Addr+"\n")
	n.crossTheNodes(t)
	n.revokeAcross(t, time.Second)
	n.walkInTurn(t)
}

// The same with a Sentinel group and with a Cluster.
func TestTwoNodesOnRedisGroups(t *testing.T) {
	t.Parallel()
	cluster, group := redistest.StartCluster(t), redistest.StartSentinel(t)
	for name, words := range map[string]string{
		"cluster":  "store redis {\naddress " + cluster[0].Addr + " " + cluster[1].Addr + "\ncluster\n}\n",
		"sentinel": "store redis {\naddress " + group.Sentinel.Addr + "\nsentinel " + redistest.Master + "\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNodes(t, words)
			n.crossTheNodes(t)
			n.revokeAcross(t, time.Second)
		})
	}
}

// crossTheNodes makes each step of a sign-in on another node than the one before.
func (n *nodes) crossTheNodes(t *testing.T) {
	t.Helper()
	const a, b = 0, 1
	n.to(a)
	c := n.raw(n.issuer) // registration
	n.to(b)
	browser := n.browser()
	browser.Stop = func(u *url.URL) bool { return u.Path == "/oauth/callback" }
	attempt := c.begin(n.resource)
	page := press(t, n.ctx, browser, open(t, n.ctx, browser, attempt.url()), mcptest.Continue) // consent
	page = press(t, n.ctx, browser, page, mcptest.Button{})
	n.to(a)
	browser.Stop = func(u *url.URL) bool { return strings.HasPrefix(u.String(), mcptest.RedirectURI) }
	page = open(t, n.ctx, browser, page.URL.String()) // callback
	code := page.URL.Query().Get("code")
	n.to(b)
	got := c.tokensOf(attempt.redeem(code)) // token
	for _, node := range []int{a, b, a, b} {
		n.to(node)
		n.works(n.resource, got.access)
		got = c.tokensOf(c.refresh(got.refresh))
		n.works(n.resource, got.access)
		n.to(1 - node)
		n.works(n.resource, got.access)
	}
	if n.caddy[a].Output() == "" || n.keysOf(a) != n.keysOf(b) {
		t.Error("the nodes have different keys")
	}
}

func (n *nodes) keysOf(node int) string {
	n.to(node)
	return n.kids()
}

// revokeAcross ends a grant on one node while the other remembers that it is good. A
// code that comes a second time ends what the first one gave.
func (n *nodes) revokeAcross(t *testing.T, within time.Duration) {
	t.Helper()
	for _, node := range []int{0, 1} {
		n.to(node)
		c := n.raw(n.issuer)
		attempt := c.begin(n.resource)
		code := attempt.code()
		got := c.tokensOf(attempt.redeem(code))
		n.to(1 - node)
		n.works(n.resource, got.access)
		n.works(n.resource, got.access) // from memory
		n.to(node)
		if again := attempt.redeem(code); again.status != http.StatusBadRequest || again.member(t, "error") != "invalid_grant" {
			t.Fatalf("a code worked twice: %d %s", again.status, again.body)
		}
		revoked := time.Now()
		n.to(1 - node)
		eventually(t, "the other node refuses", func() bool {
			return n.status(got.access) == http.StatusUnauthorized
		})
		if took := time.Since(revoked); took > within {
			t.Errorf("the other node refused after %v, later than %v", took, within)
		}
	}
}

// status is how the resource answers a token. The answer itself may be cut while the grant
// ends.
func (n *nodes) status(token string) int {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.ctx, http.MethodGet, n.resource, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := n.transport.RoundTrip(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// walkInTurn is the official client with the browser, each request on the next node.
func (n *nodes) walkInTurn(t *testing.T) {
	t.Helper()
	n.to(-1)
	before := n.seen
	walk(t, n.world, n.emulator.Tenant()+"."+anna)
	for i := range n.seen {
		if n.seen[i]-before[i] < 5 {
			t.Errorf("node %d had %d requests", i, n.seen[i]-before[i])
		}
	}
}
