// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

// register registers a client by HTTP and returns its id.
func register(t *testing.T, h *Handler, url string, body []byte) string {
	t.Helper()
	r := prepared(http.MethodPost, url, "Content-Type", "application/json")
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	w := ask(t, h, r, nil)
	var answer struct {
		ClientID string `json:"client_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("%s: status %d: %s", url, w.Code, w.Body)
	}
	return answer.ClientID
}

func known(t *testing.T, h *Handler, client string) bool {
	t.Helper()
	_, err := opened(t, h).state.Clients.Find(t.Context(), h.instance.rules, client)
	if err != nil && !errors.Is(err, oauth.New(oauth.InvalidClient, "")) {
		t.Fatal(err)
	}
	return err == nil
}

// Two sites with one issuer are one authorization server: what one learns, the other
// knows, and a revocation reaches both.
func TestTwoSitesWithOneIssuerShareEverything(t *testing.T) {
	c := newConfiguration(t)
	body := "resource https://a.share.example/mcp\nresource https://b.share.example/mcp\nissuer https://a.share.example/oauth\n" + nowhere + "store memory\n"
	a, b := c.load(body), c.load(body)
	c.start()
	id := register(t, a, "https://a.share.example/oauth/register", claudes(t))
	if !known(t, b, id) {
		t.Error("a client of one site is unknown to the other")
	}
	sa, sb := opened(t, a), opened(t, b)
	if sa != sb || a.instance.signIn != b.instance.signIn {
		t.Error("the sites have guards, keys or providers of their own")
	}
	keys := func(h *Handler) string {
		return ask(t, h, prepared(http.MethodGet, "https://a.share.example/oauth/jwks"), nil).Body.String()
	}
	if keys(a) != keys(b) {
		t.Error("the sites publish different keys")
	}
	if err := a.Cleanup(); err != nil || !known(t, b, id) || references(b.instance.site) != 1 {
		t.Errorf("the end of one site took something from the other: %v", err)
	}
}

// Two issuers on the default store have one file and nothing else in common, not even
// where the same client registers with both.
func TestTwoIssuersOnOneStoreDoNotMeet(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	c := newConfiguration(t)
	onDefault := func(host string) *Handler {
		return c.load(strings.Replace(sited(host), "store memory\n", "", 1))
	}
	a, b := onDefault("a.two.example"), onDefault("b.two.example")
	c.start()
	if a.instance.site == b.instance.site || a.instance.site.store != b.instance.site.store {
		t.Fatal("the issuers share a site, or have the same file open twice")
	}
	ida := register(t, a, "https://a.two.example/oauth/register", claudes(t))
	if known(t, b, ida) {
		t.Error("a registration with one issuer is one with the other")
	}
	if idb := register(t, b, "https://b.two.example/oauth/register", claudes(t)); !known(t, a, ida) || !known(t, b, idb) {
		t.Error("the second registration disturbed the first")
	}
	keys := func(h *Handler, url string) string {
		return ask(t, h, prepared(http.MethodGet, url+"/oauth/jwks"), nil).Body.String()
	}
	if keys(a, "https://a.two.example") == keys(b, "https://b.two.example") {
		t.Error("the issuers sign with the same key")
	}
	if err := a.Cleanup(); err != nil || !known(t, b, ida) || storeReferences(b.instance.site) != 1 {
		t.Errorf("the end of one issuer took something from the other: %v", err)
	}
}

// A memory store lives as long as one issuer uses it, and its key with it: another issuer
// that comes back finds everything as it was.
func TestMemoryKeepsItsKey(t *testing.T) {
	_, held := running(t, sited("a.memory.example"))
	first, h := running(t, sited("b.memory.example"))
	id := register(t, h, "https://b.memory.example/oauth/register", claudes(t))
	site := h.instance.site
	first.stop()
	_, again := running(t, sited("b.memory.example"))
	if again.instance.site == site || again.instance.site.store != held.instance.site.store {
		t.Fatal("the site did not end, or the store did")
	}
	if !known(t, again, id) {
		t.Error("the registration is gone")
	}
}

// fakeStore is an Opener whose store is in memory.
type fakeStore struct {
	key    func() ([]byte, error)
	wrap   func(store.Store) store.Store // nil: as it is
	closed atomic.Bool
}

func (f *fakeStore) Identity() string { return "fake" }

func (f *fakeStore) Open(_ context.Context, env store.Env) (store.Store, error) {
	inner := store.Store(closing{memory.New(memory.Options{}, env), &f.closed})
	if f.wrap != nil {
		inner = f.wrap(inner)
	}
	return inner, nil
}

func (f *fakeStore) MasterKey(ctx context.Context, _ func(context.Context) (store.Store, error), _ store.Env) ([]byte, error) {
	if f.key == nil {
		return bytes.Repeat([]byte{1}, 32), nil
	}
	key, err := f.key()
	return key, errors.Join(err, ctx.Err())
}

type closing struct {
	store.Store
	closed *atomic.Bool
}

func (c closing) Close() error { c.closed.Store(true); return nil }

// siteOver returns a site with a store handle of its own; its name keeps it apart from
// those of other tests.
func siteOver(t *testing.T, f *fakeStore) *site {
	t.Helper()
	key := siteKey{issuer: "https://fake.example.com/oauth", store: t.Name()}
	p := newPooledStore(f, liveLog)
	storePool.LoadOrStore(key.store, p)
	return newSite(key, p, nil, defaultAlg)
}

// fakeSignIn is a provider that can only be warmed up.
type fakeSignIn struct {
	provider.Provider
	warm func(context.Context) error
}

func (f fakeSignIn) Warm(ctx context.Context) error { return f.warm(ctx) }
func (fakeSignIn) Name() string                     { return "fake" }

func fakeInstance(s *site, warm func(context.Context) error) *instance {
	return &instance{settings: &settings{store: s.store.opener, alg: defaultAlg}, signIn: fakeSignIn{warm: warm}}
}

// The end of a site holds a reload up for a moment at most, even when its maintenance
// hangs. The store is closed when it no longer does.
func TestEndDoesNotWaitForWhatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := new(fakeStore)
		s := siteOver(t, f)
		hanging := make(chan struct{})
		s.started(fakeInstance(s, func(context.Context) error { <-hanging; return nil }))
		synctest.Wait()
		start := clock.System()
		if err := s.Destruct(); err != nil {
			t.Error(err)
		}
		if took := clock.System().Sub(start); took != endPatience {
			t.Errorf("took %v", took)
		}
		if f.closed.Load() {
			t.Error("the store was closed under the maintenance")
		}
		close(hanging)
		synctest.Wait()
		if !f.closed.Load() {
			t.Error("the store was never closed")
		}
		if s.uses.acquire() {
			t.Error("an ended site was given away")
		}
	})
}

// Without a hindrance the store is closed when Destruct returns, so that the next process
// can open its file; a request that still runs keeps it open and is not waited for.
func TestEndClosesTheStore(t *testing.T) {
	t.Parallel()
	for name, inUse := range map[string]bool{"idle": false, "in use": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := new(fakeStore)
				s := siteOver(t, f)
				s.started(fakeInstance(s, func(context.Context) error { return nil }))
				synctest.Wait()
				if inUse {
					s.uses.acquire()
				}
				res := &policy.Resource{URL: "https://fake.example.com/mcp", Origin: "https://fake.example.com", Scopes: oauth.Scopes{"mcp"}}
				admit(s, knowsGood(res.URL))
				open := stream(t, s.services.Load().guard, guard.NewTarget(&policy.Policy{Streams: policy.DefaultStreams()}, res))
				start := clock.System()
				_ = s.Destruct()
				if took := clock.System().Sub(start); took != 0 {
					t.Errorf("took %v", took)
				}
				if open.Err() == nil {
					t.Error("a stream outlives the last handler")
				}
				if f.closed.Load() == inUse {
					t.Errorf("closed: %v", f.closed.Load())
				}
				if inUse {
					s.uses.done()
					synctest.Wait()
				}
				if !f.closed.Load() {
					t.Error("the store was never closed")
				}
			})
		})
	}
}

// One who leaves does not take the keys away from those who wait for them too.
func TestOpenIsNotPoisoned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		calls := 0
		f := &fakeStore{key: func() ([]byte, error) { calls++; <-slow; return make([]byte, 32), nil }}
		s := siteOver(t, f)
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { _, err := s.open(ctx); first <- err }()
		synctest.Wait()
		go func() { _, err := s.open(t.Context()); second <- err }()
		synctest.Wait()
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("first: %v", err)
		}
		start := clock.System()
		if _, err := s.open(t.Context()); !errors.Is(err, context.DeadlineExceeded) || oauth.AsError(err) != nil {
			t.Errorf("third: %v", err)
		}
		if took := clock.System().Sub(start); took != openPatience {
			t.Errorf("waited %v for a disk that hangs", took)
		}
		<-second
		close(slow)
		if _, err := s.open(t.Context()); err != nil {
			t.Errorf("fourth: %v", err)
		}
		if calls != 1 {
			t.Errorf("the key was asked for %d times", calls)
		}
		_ = s.Destruct()
	})
}

// A failure, be it a panic, is an unknown outcome for the request, and forgotten.
func TestOpenForgetsFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		f := &fakeStore{key: func() ([]byte, error) {
			switch calls++; calls {
			case 1:
				return nil, errors.New("disk is gone")
			case 2:
				panic("index out of range")
			}
			return make([]byte, 32), nil
		}}
		s := siteOver(t, f)
		for _, want := range []string{"disk is gone", "panic: index out of range"} {
			if _, err := s.open(t.Context()); err == nil || !strings.Contains(err.Error(), want) || oauth.AsError(err) != nil {
				t.Errorf("%v, want %s", err, want)
			}
		}
		if _, err := s.open(t.Context()); err != nil {
			t.Error(err)
		}
		_ = s.Destruct()
	})
}

// The maintenance repeats what failed, ever more slowly, and outlives a panic.
func TestMaintenanceRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := siteOver(t, new(fakeStore))
		var at []time.Duration
		start := clock.System()
		s.started(fakeInstance(s, func(context.Context) error {
			at = append(at, clock.System().Sub(start))
			switch len(at) {
			case 2:
				panic("provider")
			case 4:
				return nil
			}
			return errors.New("provider is gone")
		}))
		<-time.NewTimer(10 * time.Minute).C
		synctest.Wait()
		want := []time.Duration{0, 2 * time.Second, 6 * time.Second, 14 * time.Second}
		if len(at) != len(want) {
			t.Fatalf("warmed up at %v", at)
		}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("warmed up at %v, want %v", at, want)
			}
		}
		_ = s.Destruct()
	})
}

// The maintenance removes what has expired, each minute, and ends with the site.
func TestMaintenanceSweeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := siteOver(t, new(fakeStore))
		s.started(fakeInstance(s, func(context.Context) error { return nil }))
		synctest.Wait()
		now := clock.System()
		rec := store.Record{
			Key:     store.Key{Site: "0123456789abcdef", Kind: "client", ID: strings.Repeat("0", 64)},
			Version: store.Version{1}, Expires: now.Add(time.Minute).UTC().Truncate(time.Second), Value: []byte{1},
		}
		if err := s.store.Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		<-time.NewTimer(13 * time.Minute).C
		synctest.Wait()
		if n, err := s.store.Sweep(t.Context(), clock.System(), 10); err != nil || n != 0 {
			t.Errorf("%d records were left: %v", n, err)
		}
		_ = s.Destruct()
	})
}

// The file of a store that just ended may still be closing when the next site opens it.
func TestStoreIsOpenedAgainAfterItsEnd(t *testing.T) {
	body := strings.Replace(sited("again.example.com"), "store memory", "store file "+t.TempDir()+"/store.db", 1)
	var id string
	for i := range 5 {
		c, h := running(t, body)
		if i == 0 {
			id = register(t, h, "https://again.example.com/oauth/register", claudes(t))
		}
		if !known(t, h, id) {
			t.Fatalf("round %d: the registration is gone", i)
		}
		c.stop()
	}
}

// A site without current configuration has nothing to warm up.
func TestWarmWithoutConfiguration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := siteOver(t, new(fakeStore))
		in := fakeInstance(s, func(context.Context) error { return nil })
		s.started(in)
		s.stopped(in)
		synctest.Wait()
		if !s.warm(t.Context()) || s.services.Load() != nil {
			t.Error("something was opened for nobody")
		}
		_ = s.Destruct()
	})
}

// A registration that arrives while the store cannot be opened is told to come back.
func TestStoreThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	body := strings.Replace(sited("broken.example.com"), "store memory", "store file "+dir+"/a/store.db", 1)
	h := newConfiguration(t).load(body)
	h.instance.site.store.opener = &fakeStore{key: func() ([]byte, error) { return nil, errors.New("disk is gone") }}
	for _, c := range []struct{ method, path string }{{http.MethodPost, "/oauth/register"}, {http.MethodPost, "/oauth/token"}, {http.MethodGet, "/mcp"}, {http.MethodGet, "/oauth/jwks"}} {
		r := prepared(c.method, "https://broken.example.com"+c.path, "Authorization", "Bearer x", "Accept", "application/json")
		w := httptest.NewRecorder()
		if err := h.ServeHTTP(w, r, nil); err != nil {
			t.Error(err)
		}
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" ||
			!strings.Contains(w.Body.String(), "temporarily_unavailable") || strings.Contains(w.Body.String(), "disk") {
			t.Errorf("%s: %d %v %s", c.path, w.Code, w.Header(), w.Body)
		}
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"} {
		if w := ask(t, h, prepared(http.MethodGet, "https://broken.example.com"+path), nil); w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
