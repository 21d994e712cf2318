// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/authserver"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/pages"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/route"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/entra"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

const (
	faultIssuer   = "https://fault.example.com/oauth"
	faultResource = "https://fault.example.com/mcp"
	faultRedirect = "https://claude.ai/api/mcp/auth_callback"
	faultIDP      = "https://login.fault.example"
)

// faultWorld is a handler with everything real but the wires: the store fails as told, and
// the provider is Entra's emulator in the same process. It lives in a synctest bubble.
type faultWorld struct {
	t       *testing.T
	handler *Handler
	site    *site
	store   *trippable
	idp     *entratest.Emulator
	events  *faultEvents
	client  string
	cookies map[string]*http.Cookie
	// hangUp is what whoever asks can do meanwhile; calls of the store read it on their own.
	hangUp  atomic.Pointer[context.CancelFunc]
	surface faultSurface
	calls   int // of the kind that fails, when the fault began
	// leave ends what the step left open; may be nil.
	leave func()
}

// faultEvents keeps what happened.
type faultEvents struct {
	mu   sync.Mutex
	seen []event.Event
}

func (e *faultEvents) Emit(_ context.Context, ev event.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, ev)
}

// take returns what happened since it was last called.
func (e *faultEvents) take() (out []event.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out, e.seen = e.seen, nil
	return out
}

// inProcess carries requests to a handler without a network.
type inProcess struct{ to http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	rec, done, served := httptest.NewRecorder(), make(chan struct{}), r.Clone(r.Context())
	if r.Body == nil {
		served.Body = http.NoBody
	}
	go func() {
		defer close(done)
		p.to.ServeHTTP(rec, served)
	}()
	select {
	case <-done:
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		return rec.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func newFaultWorld(t *testing.T) *faultWorld {
	t.Helper()
	keyring, err := faultKeyring()
	if err != nil {
		t.Fatal(err)
	}
	w := &faultWorld{t: t, events: &faultEvents{}, cookies: map[string]*http.Cookie{}}
	opener := &fakeStore{wrap: func(inner store.Store) store.Store {
		if err := inner.Create(context.Background(), keyring); err != nil {
			t.Error(err)
		}
		f := faulty.New(inner)
		w.store = &trippable{Store: f, faulty: f}
		return w.store
	}}
	key := siteKey{issuer: faultIssuer, store: t.Name()}
	pooled := newPooledStore(opener, slog.New(slog.DiscardHandler))
	storePool.LoadOrStore(key.store, pooled)
	w.site = newSite(key, pooled, nil, defaultAlg)
	w.site.log = slog.New(slog.DiscardHandler)
	w.site.sink = event.Sinks{w.events}
	w.idp = entratest.New(entratest.Options{BaseURL: faultIDP, RedirectURIs: []string{faultIssuer + "/callback"}})
	w.idp.SignInAs(entratest.DefaultUsers()[0].Username)
	in := w.instance(&policy.Policy{
		Issuer: faultIssuer, Lifetimes: policy.DefaultLifetimes(), Streams: policy.DefaultStreams(), RegistrationEnabled: true, Fingerprint: "1",
		Resources: []*policy.Resource{{
			URL: faultResource, Origin: "https://fault.example.com", Host: "fault.example.com", Path: "/mcp",
			Name: "Tools", Audience: faultResource, Scopes: oauth.Scopes{"mcp"},
		}},
	}, opener)
	w.handler = &Handler{instance: in}
	w.site.current.Store(in)
	if _, err := w.site.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := in.signIn.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.client = register(t, w.handler, faultIssuer+"/register", claudes(t))
	return w
}

func (w *faultWorld) instance(p *policy.Policy, opener store.Opener) *instance {
	in := &instance{
		settings: &settings{policy: p, store: opener}, table: route.New(p), log: w.site.log, site: w.site,
		targets: targetsOf(p), resourceVars: map[string]any{faultResource: faultResource},
	}
	in.rules.Scopes = p.AllScopes()
	in.signIn = entra.New(entra.Config{
		Client: oidc.Client{ClientID: w.idp.ClientID(), ClientSecret: secret.New(w.idp.ClientSecret()), Scopes: oidc.DefaultScopes()},
		Tenant: w.idp.Tenant(), Authority: faultIDP,
	}, provider.Env{Now: clock.System, Rand: rand.Reader, Log: w.site.log, HTTP: &http.Client{Transport: inProcess{w.idp}}})
	for _, target := range in.targets {
		target.Provider = in.signIn
	}
	look, err := pages.New(pages.Config{Title: "Tools", Support: "help@example.com"})
	if err != nil {
		w.t.Fatal(err)
	}
	in.server, err = authserver.New(authserver.Config{
		State: w.site.state, Events: w.site.sink, Log: in.log, Now: clock.System, Rand: rand.Reader,
		Policy: p, Rules: in.rules, Provider: in.signIn, Pages: look,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

// close ends everything that runs in the bubble.
func (w *faultWorld) close() {
	if w.leave != nil {
		w.leave()
	}
	w.idp.Close()
	w.site.start.Do(func() { close(w.site.done) })
	_ = w.site.Destruct()
}

// send sends one request of a browser or a client.
func (w *faultWorld) send(method, target string, form url.Values, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := prepared(method, target, header...)
	if form != nil {
		body := form.Encode()
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return w.sendRequest(r)
}

func (w *faultWorld) sendRequest(r *http.Request) *httptest.ResponseRecorder {
	w.t.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	w.hangUp.Store(&cancel)
	for _, c := range w.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	began := clock.System()
	rec := ask(w.t, w.handler, r.WithContext(ctx), &backend{})
	// Clients give up after 10 s.
	if took := clock.System().Sub(began); took > 10*time.Second {
		w.t.Errorf("the answer took %v", took)
	}
	w.check(rec)
	for _, c := range rec.Result().Cookies() {
		if w.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(w.cookies, c.Name)
		}
	}
	return rec
}

// check checks what every answer keeps to: nobody is told to sign in again because nobody
// knows, and nothing of it is kept by a cache.
func (w *faultWorld) check(rec *httptest.ResponseRecorder) {
	w.t.Helper()
	h := rec.Header()
	unknown := rec.Code == http.StatusServiceUnavailable
	if unknown && (h.Get("Retry-After") != "5" || h.Get("WWW-Authenticate") != "" || h.Get("Cache-Control") != "no-store") {
		w.t.Errorf("503 with headers %v", h)
	}
	if rec.Code == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		w.t.Error("401 without a challenge")
	}
	if rec.Code >= 500 && !unknown {
		w.t.Errorf("status %d", rec.Code)
	}
}
