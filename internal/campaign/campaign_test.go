// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// workers is how many connections send at once.
const workers = 16

// quick tells that the campaign shall be short.
func quick() bool { return os.Getenv("MCPOAUTH_CAMPAIGN") == "quick" }

// size is how many random requests there are over each protocol.
var size = map[string]int{"h1": 10_000, "h2": 10_000, "h3": 10_000}

var quickSize = map[string]int{"h1": 1_500, "h2": 500, "h3": 500}

func seed(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv("MCPOAUTH_CAMPAIGN_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// one returns protocol and number of the one case to run, "" for all.
func one(t testing.TB) (protocol string, number int) {
	t.Helper()
	text := os.Getenv("MCPOAUTH_CAMPAIGN_CASE")
	if text == "" {
		return "", 0
	}
	protocol, rest, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(rest)
	if err != nil {
		t.Fatal(err)
	}
	return protocol, n
}

// readCorpus returns the hand-written cases.
func readCorpus(t testing.TB, path string) (all []*request) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := parseRequest(line)
		if err != nil {
			t.Fatalf("%s:%d: %v", path, n, err)
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCampaign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	corpus := readCorpus(t, "testdata/corpus.txt")
	campaigns := map[string]*campaign{}
	for _, protocol := range []string{"h1", "h2", "h3"} {
		t.Run(protocol, func(t *testing.T) {
			c := &campaign{t: t, w: w, protocol: protocol, seed: seed(t), corpus: corpus}
			campaigns[protocol] = c
			c.run()
		})
	}
	// Whatever was under way is over then.
	w.caddy.Stop(t)
	w.strays(t, campaigns)
	w.calm(t)
}

// campaign is what is sent over one protocol. Numbers below the length of the corpus are
// its lines, in order; the rest is random.
type campaign struct {
	t        *testing.T
	w        *world
	protocol string
	seed     uint64
	corpus   []*request

	next     atomic.Int64
	arrived  atomic.Int64
	honest   atomic.Int64
	mu       sync.Mutex
	failures int
}

func (c *campaign) run() {
	total := size[c.protocol]
	if quick() {
		total = quickSize[c.protocol]
	}
	total += len(c.corpus)
	if protocol, n := one(c.t); protocol != "" {
		if protocol != c.protocol {
			return
		}
		c.next.Store(int64(n))
		total = n + 1
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() { c.work(total) })
	}
	wg.Wait()
	c.t.Logf("%d requests, %d of them honest, %d arrivals", total, c.honest.Load(), c.arrived.Load())
	if one, _ := one(c.t); one == "" && (c.honest.Load() < int64(total/20) || c.arrived.Load() < int64(total/10)) {
		c.t.Errorf("of %d requests only %d were honest and %d arrived: the campaign proves nothing", total, c.honest.Load(), c.arrived.Load())
	}
}

// work sends cases until there are none left.
func (c *campaign) work(total int) {
	clients := map[int]client{}
	defer func() {
		for _, cl := range clients {
			cl.close()
		}
	}()
	for {
		n := int(c.next.Add(1)) - 1
		if n >= total || c.tooMany() {
			return
		}
		r := c.request(n)
		s := c.w.byName[r.site]
		if s == nil {
			c.fail(n, r, fmt.Sprintf("no site %q", r.site))
			continue
		}
		if !r.suits(c.protocol) || c.protocol == "h3" && s.scheme == "http" {
			continue
		}
		if clients[s.port] == nil {
			clients[s.port] = newClient(c.protocol, s)
		}
		c.try(n, r, s, clients[s.port])
	}
}

func newClient(protocol string, s *site) client {
	switch protocol {
	case "h1":
		return &h1{s: s}
	case "h2":
		return &h2{s: s}
	default:
		return &h3{s: s}
	}
}

// request is the case of a number.
func (c *campaign) request(n int) *request {
	if n < len(c.corpus) {
		return c.corpus[n]
	}
	return c.w.generate(rand.New(rand.NewPCG(c.seed, uint64(n-len(c.corpus)))), c.protocol)
}

func (c *campaign) try(n int, r *request, s *site, cl client) {
	id := fmt.Sprintf("%s-%d", c.protocol, n)
	sent := r.expand(s, id)
	a, err := cl.send(sent)
	if err != nil {
		c.fail(n, r, "no answer: "+err.Error())
		return
	}
	seen := c.w.arrived.take(id)
	c.arrived.Add(int64(len(seen)))
	if r.honest {
		c.honest.Add(1)
	}
	for _, wrong := range check(s, sent, a, seen) {
		c.fail(n, r, wrong)
	}
}

// maxFailures is after how many a campaign stops: they tend to have one cause.
const maxFailures = 30

func (c *campaign) tooMany() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failures >= maxFailures
}

func (c *campaign) fail(n int, r *request, wrong string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures++
	c.t.Errorf("seed %d, case %s:%d: %s\n\t%s", c.seed, c.protocol, n, wrong, r)
}

// strays holds what reached a backend late, after its client had given up, against the
// property, and makes sure that there was nothing else: not the rest of a request that
// was taken for the next one, and nothing without its number.
func (w *world) strays(t *testing.T, campaigns map[string]*campaign) {
	t.Helper()
	for id, seen := range w.arrived.byID {
		protocol, number, _ := strings.Cut(id, "-")
		n, err := strconv.Atoi(number)
		for _, a := range seen {
			if c := campaigns[protocol]; c != nil && err == nil {
				r := c.request(n)
				for _, wrong := range checkArrival(r.expand(w.byName[r.site], id), a) {
					t.Errorf("seed %d, case %s:%d, late: %s\n\t%s", c.seed, protocol, n, wrong, r)
				}
			} else if a.site.guards(a.target) {
				t.Errorf("as case %q, the backend of %s got %q", id, a.site.name, a.raw)
			}
		}
	}
}

// calm makes sure that the server said nothing of a panic.
func (w *world) calm(t *testing.T) {
	t.Helper()
	for line := range strings.SplitSeq(w.caddy.Output(), "\n") {
		if strings.Contains(line, "panic") || strings.Contains(line, "runtime error") {
			t.Errorf("the server says: %s", line)
		}
	}
}
