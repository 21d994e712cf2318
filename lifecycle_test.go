// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	keyA = "encryption_key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	keyB = "encryption_key Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
)

// A configuration that fails gives back what it took, and nothing of what others hold:
// whichever step of Provision fails.
func TestFailedProvisionGivesBackWhatItTook(t *testing.T) {
	_, h := running(t, sited("failed.example.com"))
	site := h.instance.site
	for name, c := range map[string]struct {
		body, want string
		late       bool
	}{
		"before the site":  {body: sited("failed.example.com", "login {\ntitle Other\n}"), want: `differ in "login"`},
		"resolving":        {body: sited("failed.example.com", "issuer {env.MCPOAUTH_TEST_ABSENT}"), want: "MCPOAUTH_TEST_ABSENT"},
		"the last step":    {body: sited("failed.example.com"), want: "already started", late: true},
		"another's origin": {body: sited("failed.example.com", "issuer https://other.example.com"), want: "belongs to the issuer"},
	} {
		broken := newConfiguration(t)
		first := broken.load(sited("failed.example.com"))
		if references(site) != 2 || first.instance.site != site {
			t.Fatalf("%s: %d references", name, references(site))
		}
		if c.late {
			if err := broken.events.Start(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := broken.try(c.body); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if n := references(site); n != 2 {
			t.Errorf("%s: %d references after the failure, want 2", name, n)
		}
		broken.stop()
		if n := references(site); n != 1 || storeReferences(site) == 0 {
			t.Errorf("%s: %d references at the end, want 1", name, n)
		}
		if len(site.providers) != 1 || site.providers[h.instance.provider.Identity()].users != 1 {
			t.Errorf("%s: providers %v", name, site.providers)
		}
	}
	if w := ask(t, h, prepared(http.MethodGet, "https://failed.example.com/oauth/jwks"), nil); w.Code != http.StatusOK {
		t.Errorf("the running handler answers %d", w.Code)
	}
}

// Caddy calls Cleanup once, but a second call must not take a reference from others.
func TestCleanupTwice(t *testing.T) {
	_, h := running(t, sited("twice.example.com"))
	c := newConfiguration(t)
	other := c.load(sited("twice.example.com"))
	for range 3 {
		if err := other.Cleanup(); err != nil {
			t.Fatal(err)
		}
	}
	if n := references(h.instance.site); n != 1 {
		t.Errorf("%d references, want 1", n)
	}
	if generations.m[other.instance.config] != nil || generations.m[h.instance.config].blocks != 1 {
		t.Error("the configurations' blocks are counted wrong")
	}
	if err := new(Handler).Cleanup(); err != nil {
		t.Error(err)
	}
}

// A configuration that is only validated opens, makes and leaves nothing.
func TestProvisionOpensNothing(t *testing.T) {
	dir := t.TempDir()
	c := newConfiguration(t)
	h := c.load(strings.Replace(sited("quiet.example.com"), "store memory", "store file "+filepath.Join(dir, "a", "store.db"), 1))
	site := h.instance.site
	if site.services.Load() != nil || site.current.Load() != nil {
		t.Error("the site was opened")
	}
	c.stop()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("made %v", left)
	}
	if references(site) != 0 || storeReferences(site) != 0 {
		t.Error("the pools were not emptied")
	}
	select {
	case <-site.done:
	default:
		t.Error("the maintenance runs")
	}
}

// A reload keeps the site with all that is in memory, and the file open once.
func TestReloadKeepsTheSite(t *testing.T) {
	file := strings.Replace(sited("kept.example.com"), "store memory", "store file "+filepath.Join(t.TempDir(), "store.db"), 1)
	first, h := running(t, file)
	before := opened(t, h)
	ring, err := before.vault.Keyring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, h2 := running(t, file+"login {\ntitle New\n}")
	site := h.instance.site
	if h2.instance.site != site || opened(t, h2) != before || h2.instance.signIn != h.instance.signIn {
		t.Error("the new configuration has a site or a provider of its own")
	}
	first.stop()
	if references(site) != 1 || site.current.Load() != h2.instance {
		t.Errorf("%d references, current %p", references(site), site.current.Load())
	}
	second.stop()
	_, h3 := running(t, file)
	if h3.instance.site == site {
		t.Error("the ended site came back")
	}
	again, err := opened(t, h3).vault.Keyring(t.Context())
	if err != nil || again.Index.HMAC() != ring.Index.HMAC() {
		t.Errorf("the file was not opened again: %v", err)
	}
}

// Other encryption keys are another site over the same open store; their order is not.
func TestReloadWithOtherKeys(t *testing.T) {
	first, h := running(t, sited("keys.example.com", keyA))
	second, h2 := running(t, sited("keys.example.com", keyA, keyB))
	a, b := h.instance.site, h2.instance.site
	if a == b || a.store != b.store {
		t.Errorf("sites shared: %v, stores shared: %v", a == b, a.store == b.store)
	}
	admitGood(h)
	open := stream(t, opened(t, h).guard, h.instance.targets[h.instance.policy.Resources[0]])
	first.stop()
	if references(a) != 0 || open.Err() == nil {
		t.Errorf("%d references, stream ended: %v", references(a), open.Err())
	}
	if _, err := opened(t, h2).vault.Keyring(t.Context()); err != nil {
		t.Errorf("after the end of the other site: %v", err)
	}
	_, h3 := running(t, sited("keys.example.com", keyB, keyA))
	if h3.instance.site != b {
		t.Error("reordering keys made another site")
	}
	second.stop()
	if m := *b.masters.Load(); m[0].KID() != h3.instance.masters[0].KID() {
		t.Error("the site goes by the former order of keys")
	}
}

// A configuration may still fail after it has started. The former one is then current
// again, with its log and its keys.
func TestFormerConfigurationTakesOverAgain(t *testing.T) {
	good := newConfiguration(t)
	h := good.load(sited("over.example.com", keyA, keyB))
	log := logged(h)
	good.start()
	failing, h2 := running(t, sited("over.example.com", keyB, keyA, "login {\ntitle New\n}"))
	site := h.instance.site
	if site != h2.instance.site || site.current.Load() != h2.instance {
		t.Fatal("the new configuration is not current")
	}
	failing.stop()
	if site.current.Load() != h.instance || len(site.running) != 1 {
		t.Error("the former configuration did not take over")
	}
	if m := *site.masters.Load(); m[0].KID() != h.instance.masters[0].KID() {
		t.Error("the keys are in the order of the failed configuration")
	}
	liveLog.Info("hello again")
	if !strings.Contains(log.String(), "hello again") {
		t.Errorf("log: %s", log)
	}
}

// Two handlers of one issuer both hear that their configuration started.
func TestStartedTwice(t *testing.T) {
	c := newConfiguration(t)
	body := "resource https://one.example.org/mcp\nresource https://two.example.org/mcp\nissuer https://one.example.org/oauth\n" + nowhere + "store memory\n"
	a, b := c.load(body), c.load(body)
	c.start()
	site := a.instance.site
	if site != b.instance.site || len(site.running) != 2 || site.current.Load() != b.instance {
		t.Errorf("running: %d", len(site.running))
	}
	if err := b.Cleanup(); err != nil || site.current.Load() != a.instance {
		t.Errorf("current is not the one that is left: %v", err)
	}
}

// Requests go on while their handler is cleaned up; one that reaches the former handler
// only then is served as long as the present configuration has the site.
func TestRequestsSurviveReload(t *testing.T) {
	first, old := running(t, sited("inflight.example.com"))
	site := old.instance.site
	entered, leave := make(chan struct{}), make(chan struct{})
	admitGood(old)
	good := func() *http.Request {
		return prepared(http.MethodGet, "https://inflight.example.com/mcp", "Authorization", "Bearer good")
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		w := httptest.NewRecorder()
		_ = old.ServeHTTP(w, good(), caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			close(entered)
			<-leave
			w.WriteHeader(http.StatusOK)
			return nil
		}))
		if w.Code != http.StatusOK {
			t.Errorf("the request in flight: %d", w.Code)
		}
	})
	<-entered
	if n := site.uses.state.Load(); n != 0 {
		t.Errorf("a request at the backend holds the site: %d", n)
	}
	second, _ := running(t, sited("inflight.example.com"))
	first.stop()
	if w := ask(t, old, good(), new(backend)); w.Code != http.StatusNoContent {
		t.Errorf("the former handler answers %d while the site lives", w.Code)
	}
	second.stop()
	if w := ask(t, old, good(), new(backend)); w.Code != http.StatusServiceUnavailable {
		t.Errorf("the former handler answers %d when the site is gone", w.Code)
	}
	close(leave)
	wg.Wait()
}

// Many requests during many reloads: none fails.
func TestReloadsUnderLoad(t *testing.T) {
	const host, rounds, workers = "load.example.com", 50, 8
	config, h := running(t, sited(host))
	admitGood(h)
	var present atomic.Pointer[Handler]
	present.Store(h)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var served atomic.Int64
	for i := range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				h := present.Load()
				url, want := "https://"+host+"/mcp", http.StatusNoContent
				if i%2 == 1 {
					url, want = "https://"+host+"/oauth/jwks", http.StatusOK
				}
				r := prepared(http.MethodGet, url, "Authorization", "Bearer good")
				if w := ask(t, h, r, new(backend)); w.Code != want {
					t.Errorf("%s: status %d", url, w.Code)
					return
				}
				served.Add(1)
			}
		})
	}
	for range rounds {
		until := served.Load() + workers
		for served.Load() < until && !t.Failed() {
			runtime.Gosched()
		}
		next, nh := running(t, sited(host))
		present.Store(nh)
		config.stop()
		config = next
	}
	cancel()
	wg.Wait()
}

// Each end of a configuration ends its goroutines, whatever they were waiting for.
func TestGoroutinesEnd(t *testing.T) {
	body := strings.Replace(sited("gone.example.com"), "store memory", "store file "+filepath.Join(t.TempDir(), "store.db"), 1)
	round := func() *site {
		c, h := running(t, body)
		opened(t, h)
		c.stop()
		return h.instance.site
	}
	round()
	before := runtime.NumGoroutine()
	const rounds = 20
	for range rounds {
		s := round()
		select {
		case <-s.done:
		default:
			t.Fatal("the maintenance outlives the site")
		}
		if references(s) != 0 || storeReferences(s) != 0 {
			t.Fatal("the pools were not emptied")
		}
	}
	// A leak shows once a round; a few that belong to connections on their way out do not
	// count.
	tick, patience := time.NewTicker(5*time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for runtime.NumGoroutine() >= before+rounds/2 {
		select {
		case <-tick.C:
		case <-patience:
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}
