// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

const (
	issuer   = "https://mcp.example.com/oauth"
	resource = "https://mcp.example.com/mcp"
	client   = "dcr_client"
	callback = "https://client.example/cb"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// node is one process: a Service with its own vault over a store that others may share.
type node struct {
	*Service
	clock    *clock.Fake
	store    store.Store
	provider *fakeProvider
	events   *recorder
	terms    Terms
	evicted  atomic.Int32
}

func newNode(t testing.TB) *node {
	t.Helper()
	c := clock.NewFake(time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC))
	s := memory.New(memory.Options{}, store.Env{Now: c.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	return nodeOn(t, s, c, newFakeProvider())
}

// nodeOn returns another process on the same store, with the same master key.
func nodeOn(t testing.TB, s store.Store, c *clock.Fake, p *fakeProvider) *node {
	t.Helper()
	master, err := seal.NewMaster(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{clock: c, store: s, provider: p, events: &recorder{}}
	v := vault.New(vault.Config{
		Store: s, Issuer: issuer, Masters: []seal.Master{master}, Now: c.Now, Rand: rand.Reader,
		NewSigningKey: func(now time.Time) (seal.SigningKey, error) { return tokens.NewSigningKey(rand.Reader, "ES256", now) },
	})
	n.Service = New(Config{
		Vault: v, Site: seal.SiteOf(issuer), Now: c.Now, Rand: rand.Reader, Events: n.events,
		Changed: func(tokens.ID) { n.evicted.Add(1) },
	})
	n.terms = Terms{Policy: testPolicy(), Provider: p}
	return n
}

func testPolicy() *policy.Policy {
	mcp := &policy.Resource{URL: resource, Path: "/mcp", Scopes: oauth.Scopes{"mcp"}}
	other := &policy.Resource{URL: "https://mcp.example.com/other", Path: "/other", Scopes: oauth.Scopes{"mcp", "admin"}}
	return &policy.Policy{
		Issuer: issuer, Resources: []*policy.Resource{mcp, other}, Lifetimes: policy.DefaultLifetimes(),
		Scopes: map[string]policy.Scope{"mcp": {Implies: oauth.Scopes{"read", "write"}}},
	}
}

func request() Request {
	return Request{
		Client: client, RedirectURI: callback, Challenge: pkce.Challenge(verifier), Resource: resource,
		Scope: "mcp read offline_access",
	}
}

func (n *node) code(t testing.TB) string {
	t.Helper()
	code, err := n.IssueCode(t.Context(), request(), n.provider.session(), n.terms.Policy.Lifetimes.Code)
	if err != nil {
		t.Fatal(err)
	}
	return code.Reveal()
}

func redemption(code string) Redemption {
	uri := callback
	return Redemption{Client: client, Code: code, Verifier: verifier, RedirectURI: &uri, Resource: resource, Refreshable: true}
}

// signIn returns the tokens of a fresh grant.
func (n *node) signIn(t testing.TB) *Issued {
	t.Helper()
	out, err := n.Redeem(t.Context(), n.terms, redemption(n.code(t)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (n *node) refresh(t testing.TB, token string) (*Issued, error) {
	t.Helper()
	return n.Refresh(t.Context(), n.terms, Refreshing{Client: client, Token: token})
}

func (n *node) accepts(t testing.TB, i *Issued) bool {
	t.Helper()
	_, err := n.Access(t.Context(), text(i.Access))
	if err != nil && !errors.Is(err, oauth.New(oauth.InvalidToken, "")) {
		t.Fatalf("access token is neither good nor bad: %v", err)
	}
	return err == nil
}

func text(t tokens.Token) string { return t.Text().Reveal() }

func wantCode(t testing.TB, err error, code oauth.Code) {
	t.Helper()
	e := oauth.AsError(err)
	if e == nil || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func wantUnknown(t testing.TB, err error) {
	t.Helper()
	if err == nil || oauth.AsError(err) != nil {
		t.Fatalf("got %v, want an unknown outcome", err)
	}
}

// fakeProvider answers refreshes as told.
type fakeProvider struct {
	provider.Provider
	mu     sync.Mutex
	person provider.Person
	fail   error
	calls  int
	last   string
	token  string
	// strict makes every refresh token good for one use, as rotating providers do.
	strict bool
	// during runs while the provider is being asked.
	during func()
	gate   chan struct{}
}

func newFakeProvider() *fakeProvider {
	return &fakeProvider{token: "up-0", person: provider.Person{Subject: "tid.oid", ObjectID: "oid", Name: "Ada", Roles: []string{"Reader"}}}
}

func (p *fakeProvider) session() *provider.Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &provider.Session{Person: p.person, RefreshToken: secret.New(p.token)}
}

func (p *fakeProvider) Refresh(_ context.Context, token secret.String) (*provider.Session, error) {
	if p.gate != nil {
		<-p.gate
	}
	if p.during != nil {
		p.during()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	p.last = token.Reveal()
	if p.fail != nil {
		return nil, p.fail
	}
	if p.strict && p.last != p.token {
		return nil, &provider.Ended{Reason: "invalid_grant", Cause: errors.New("refresh token was used before")}
	}
	p.token = "up-" + string(rune('0'+p.calls%10))
	return &provider.Session{Person: p.person, RefreshToken: secret.New(p.token)}, nil
}

func (p *fakeProvider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// recorder keeps events.
type recorder struct {
	mu   sync.Mutex
	seen []event.Event
}

func (r *recorder) Emit(_ context.Context, e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, e)
}

func (r *recorder) count(k event.Kind, mode string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.seen {
		if e.Kind == k && e.Mode == mode {
			n++
		}
	}
	return n
}

// flaky fails calls of one store method before or after their effect.
type flaky struct {
	store.Store
	mu            sync.Mutex
	kind          store.Kind
	before, after int // how many to fail
}

var errFlaky = errors.New("connection lost")

func (f *flaky) take(k store.Kind) (before, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k != f.kind {
		return false, false
	}
	if f.before > 0 {
		f.before--
		return true, false
	}
	if f.after > 0 {
		f.after--
		return false, true
	}
	return false, false
}

func (f *flaky) Create(ctx context.Context, r store.Record) error {
	return f.do(r.Kind, func() error { return f.Store.Create(ctx, r) })
}

func (f *flaky) Update(ctx context.Context, r store.Record, prev store.Version) error {
	return f.do(r.Kind, func() error { return f.Store.Update(ctx, r, prev) })
}

func (f *flaky) do(k store.Kind, call func() error) error {
	before, after := f.take(k)
	if before {
		return errFlaky
	}
	err := call()
	if after {
		return errFlaky
	}
	return err
}
