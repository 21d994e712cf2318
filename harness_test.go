// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// nowhere is a sign-in at which nobody listens.
const nowhere = "provider oidc {\nissuer http://127.0.0.1:1\nclient_id mcp\nclient_secret s3cret\n}\n"

// sited is the body of a directive with the resource https://<host>/mcp.
func sited(host string, more ...string) string {
	return "resource https://" + host + "/mcp\n" + nowhere + "store memory\n" + strings.Join(more, "\n")
}

// configuration is one that Caddy has loaded: it may be started, and is stopped at the
// end of the test at the latest.
type configuration struct {
	t      *testing.T
	ctx    caddy.Context
	events *caddyevents.App
	stop   func()
}

func newConfiguration(t *testing.T) *configuration {
	t.Helper()
	outer, err := caddy.ProvisionContext(new(caddy.Config))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(outer)
	app, err := ctx.App("events")
	if err != nil {
		t.Fatal(err)
	}
	c := &configuration{t: t, ctx: ctx, events: app.(*caddyevents.App), stop: sync.OnceFunc(cancel)}
	t.Cleanup(c.stop)
	return c
}

// try loads a handler from the body of its directive, as Caddy does.
func (c *configuration) try(body string) (*Handler, error) {
	c.t.Helper()
	out, err := adapt(c.t, inSite(body))
	if err != nil {
		c.t.Fatal(err)
	}
	h, err := c.ctx.LoadModuleByID("http.handlers.mcp_oauth", handlersIn(c.t, out)[0])
	if err != nil {
		return nil, err
	}
	return h.(*Handler), nil
}

func (c *configuration) load(body string) *Handler {
	c.t.Helper()
	h, err := c.try(body)
	if err != nil {
		c.t.Fatal(err)
	}
	return h
}

// start tells the handlers that the configuration runs.
func (c *configuration) start() {
	c.t.Helper()
	if err := c.events.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.events.Emit(c.ctx, "started", nil)
}

// running loads and starts a configuration with one handler.
func running(t *testing.T, body string) (*configuration, *Handler) {
	t.Helper()
	c := newConfiguration(t)
	h := c.load(body)
	c.start()
	return c, h
}

// references is how many handlers hold a site.
func references(s *site) int {
	n, _ := sitePool.References(s.key)
	return n
}

func storeReferences(s *site) int {
	n, _ := storePool.References(s.key.store)
	return n
}

// prepared is a request as Caddy hands it to its handlers.
func prepared(method, url string, header ...string) *http.Request {
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, new(caddyhttp.Server))
}

// backend is the next handler. It keeps what it got.
type backend struct {
	hits int
	last *http.Request
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	b.hits++
	b.last = r
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ask serves a request and returns the answer.
func ask(t *testing.T, h *Handler, r *http.Request, next caddyhttp.Handler) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	if err := h.ServeHTTP(w, r, next); err != nil {
		t.Errorf("ServeHTTP returned %v", err)
	}
	return w
}

func placeholder(r *http.Request, name string) string {
	text, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).GetString(name)
	return text
}

func variable(r *http.Request, name string) any { return caddyhttp.GetVar(r.Context(), name) }

// lookupFunc is a guard.Lookup.
type lookupFunc func(context.Context, string) (*guard.Access, error)

func (f lookupFunc) Access(ctx context.Context, token string) (*guard.Access, error) {
	return f(ctx, token)
}

func (lookupFunc) Authentic(context.Context, string) error { return nil }
func (lookupFunc) Alive(context.Context, [16]byte) error   { return nil }

// stream opens an event stream with the token "good" and returns the context of the
// request as the backend sees it.
func stream(t *testing.T, g *guard.Guard, target *guard.Target) context.Context {
	t.Helper()
	r := prepared(http.MethodGet, target.Resource.URL, "Authorization", "Bearer good", "Accept", "text/event-stream")
	pass, err := g.Admit(r.Context(), guard.Request{HTTP: r, Target: target, Began: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pass.Close)
	_, gr := pass.Wrap(httptest.NewRecorder(), r, newRef)
	return gr.Context()
}

// opened are the services of a handler's site.
func opened(t *testing.T, h *Handler) *services {
	t.Helper()
	sv, err := h.instance.site.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sv
}

// admitGood puts a guard into the site that knows one token, "good".
func admitGood(h *Handler) {
	admit(h.instance.site, knowsGood(h.instance.policy.Resources[0].URL))
}

// knowsGood knows one token, "good", for a resource.
func knowsGood(resource string) lookupFunc {
	return func(_ context.Context, token string) (*guard.Access, error) {
		if token != "good" {
			return nil, oauth.New(oauth.InvalidToken, "The access token is not valid.")
		}
		return &guard.Access{
			Client: "dcr_1", Resource: resource, Scopes: oauth.Scopes{"mcp"}, Expires: clock.System().Add(time.Hour),
			Person: provider.Person{Subject: "jane", Name: "Jane\r\nX-Role: admin", Email: "jane@example.com"},
		}, nil
	}
}

func mintedForGood(context.Context, *guard.Access, *policy.Policy, *policy.Resource) (string, time.Time, error) {
	return "minted", clock.System().Add(time.Minute), nil
}

func admit(s *site, l guard.Lookup) {
	sv, err := s.open(context.Background())
	if err != nil {
		panic(err)
	}
	s.services.Store(&services{vault: sv.vault, state: sv.state, guard: guard.New(guard.Config{Grants: l, Mint: mintedForGood, Now: clock.System, Stats: &guardStats})})
}

// logged makes a handler write into the buffer that it returns.
func logged(h *Handler) *syncBuffer {
	b := new(syncBuffer)
	h.instance.log = slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return b
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// claudes is the registration that Claude sends.
func claudes(t *testing.T) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("internal", "clients", "testdata", "claude_public.request.json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// newSigningKey makes the signing key of a vault that a test sets up by itself.
func newSigningKey(now time.Time) (seal.SigningKey, error) {
	return tokens.NewSigningKey(rand.Reader, tokens.RS256, now)
}
