// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/pages"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

const (
	issuer   = "https://mcp.example.com/oauth"
	resource = "https://mcp.example.com/mcp"
	// The pair of RFC 7636 appendix B.
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	claude    = "https://claude.ai/api/mcp/auth_callback"
	stranger  = "https://stranger.example/cb"
	loopback  = "http://localhost/callback"

	staticID     = "portal"
	staticSecret = "portal-secret-0123456789-0123456789"
	portal       = "https://portal.example/cb"
)

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	home  = netip.MustParseAddr("203.0.113.7")
)

// world is one issuer with everything real but the clock, the provider and the network.
type world struct {
	*Server
	state    *State
	clock    *clock.Fake
	store    *faulty.Store
	provider *fakeProvider
	events   *recorder
	logs     *logLines
	// down is what opening the shared state fails with.
	down error
	// changed counts what the guard was told to forget.
	changed atomic.Int32
}

// setup is what a test may want otherwise.
type setup struct {
	issuer    string
	resources []string
	rules     clients.Rules
	allow     policy.Allow
	regOff    bool
	// introspect are the clients that may ask about tokens.
	introspect []string
	alg        string
}

// introspecting lets the static client ask about tokens.
func introspecting(s *setup) { s.introspect = []string{staticID} }

func newWorld(t testing.TB, change ...func(*setup)) *world {
	t.Helper()
	s := setup{issuer: issuer, resources: []string{resource}, alg: tokens.ES256}
	s.rules.Static = []clients.Static{{
		ID: staticID, Name: "Portal", Secrets: []secret.String{secret.New(staticSecret)}, RedirectURIs: []string{portal},
	}}
	for _, f := range change {
		f(&s)
	}
	w := &world{clock: clock.NewFake(start), provider: &fakeProvider{}, events: &recorder{}, logs: &logLines{}}
	w.store = faulty.New(memory.New(memory.Options{MaxRecords: 200_000}, store.Env{Now: w.clock.Now, Rand: rand.Reader}))
	w.store.SetError(errDown)
	t.Cleanup(func() { _ = w.store.Close() })
	w.openState(t, s)
	w.serve(t, s)
	return w
}

func (w *world) openState(t testing.TB, s setup) {
	t.Helper()
	master, err := seal.NewMaster(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	v := vault.New(vault.Config{
		Store: w.store, Issuer: s.issuer, Masters: []seal.Master{master}, Now: w.clock.Now, Rand: rand.Reader, Events: w.events,
		NewSigningKey: func(now time.Time) (seal.SigningKey, error) { return tokens.NewSigningKey(rand.Reader, s.alg, now) },
	})
	w.state = &State{
		Vault: v, Limits: NewLimits(w.clock.Now),
		Clients: clients.New(clients.Config{Vault: v, Rand: rand.Reader, Now: w.clock.Now, Events: w.events}),
		Grants: grants.New(grants.Config{
			Vault: v, Site: seal.SiteOf(s.issuer), Now: w.clock.Now, Rand: rand.Reader, Events: w.events, Changed: func(tokens.ID) { w.changed.Add(1) },
		}),
	}
	if _, err := v.Keyring(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) serve(t testing.TB, s setup) {
	t.Helper()
	p := &policy.Policy{
		Issuer: s.issuer, Allow: s.allow, Lifetimes: policy.DefaultLifetimes(), RegistrationEnabled: !s.regOff, Fingerprint: "1",
		Scopes: map[string]policy.Scope{"tickets": {Description: "Open and close tickets"}},
	}
	for _, u := range s.resources {
		p.Resources = append(p.Resources, &policy.Resource{
			URL: u, Audience: u, Name: "Contoso Tools", Scopes: oauth.Scopes{"mcp"}, Introspect: s.introspect,
		})
	}
	s.rules.RegistrationOff, s.rules.Scopes = s.regOff, p.AllScopes()
	look, err := pages.New(pages.Config{Title: "Contoso", Support: "help@contoso.example"})
	if err != nil {
		t.Fatal(err)
	}
	w.Server, err = New(Config{
		State: func(context.Context) (*State, error) {
			if w.down != nil {
				return nil, w.down
			}
			return w.state, nil
		},
		Events: w.events, Log: slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now: w.clock.Now, Rand: rand.Reader, Policy: p, Rules: s.rules, Provider: w.provider, Pages: look,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// register makes a public client with the redirect URIs and returns its id.
func (w *world) register(t testing.TB, redirects ...string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"redirect_uris": redirects, "client_name": "Claude", "client_uri": "https://claude.ai"})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.state.Clients.Register(t.Context(), w.Rules, home, body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.ClientID
}

// recorder keeps events.
type recorder struct {
	mu     sync.Mutex
	events []event.Event
}

func (r *recorder) Emit(_ context.Context, e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) count(k event.Kind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

// logLines keeps what was logged.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
