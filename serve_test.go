// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/authserver"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/route"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// body reads a JSON answer.
func body(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	return m
}

// The backend gets the JWT and our word about the person, and nobody else's.
func TestSec_J06_BackendOfTheHandler(t *testing.T) {
	_, h := running(t, strings.ReplaceAll(forwarding, "%s", "forward.example.com"))
	admitGood(h)
	next := new(backend)
	ask(t, h, prepared(http.MethodGet, "https://forward.example.com/mcp", "Authorization", "Bearer good", "X-User", "forged", "X_User", "forged"), next)
	if next.hits != 1 || next.last.Header.Get("Authorization") != "Bearer minted" || next.last.Header.Get("X-User") != "jane" || next.last.Header["X_user"] != nil {
		t.Fatalf("%d %v", next.hits, next.last)
	}
	next = new(backend)
	ask(t, h, prepared(http.MethodGet, "https://forward.example.com/other", "X-User", "forged", "X.User", "forged", "X-Users", "stays"), next)
	if next.hits != 1 || len(next.last.Header) != 1 || next.last.Header.Get("X-Users") != "stays" {
		t.Errorf("what is not guarded carries %v", next.last.Header)
	}
}

// A stream is in the registry once while it is answered and never after.
func TestStreamOfTheHandler(t *testing.T) {
	_, h := running(t, sited("streams.example.com"))
	admitGood(h)
	streams := h.instance.site.services.Load().guard.Streams()
	var ctx context.Context
	for range 2 {
		next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			ctx = r.Context()
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			if n := streams.Total(); n != 1 {
				t.Errorf("%d streams", n)
			}
			return nil
		})
		ask(t, h, prepared(http.MethodGet, "https://streams.example.com/mcp", "Authorization", "Bearer good", "Accept", "text/event-stream"), next)
		if n := streams.Total(); n != 0 || ctx.Err() == nil {
			t.Errorf("%d streams after the end, context %v", n, ctx.Err())
		}
	}
	// The proxy gives up a stream that the registry cut by a panic, which ends here; every
	// other panic, and this one where nothing was cut, is the web server's.
	other := errors.New("another panic")
	for _, tt := range []struct {
		cut   bool
		panic any
		want  any
	}{
		{true, http.ErrAbortHandler, nil}, {false, http.ErrAbortHandler, http.ErrAbortHandler}, {true, other, other}, {false, other, other}, {true, nil, nil},
	} {
		next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			if tt.cut {
				streams.End([32]byte{})
			}
			if tt.panic != nil {
				panic(tt.panic)
			}
			return nil
		})
		func() {
			defer func() {
				if p := recover(); p != tt.want {
					t.Errorf("%+v: recovered %v", tt, p)
				}
			}()
			_ = h.ServeHTTP(httptest.NewRecorder(), prepared(http.MethodGet, "https://streams.example.com/mcp", "Authorization", "Bearer good"), next)
		}()
	}
}

func TestRefusalOfTheHandler(t *testing.T) {
	_, h := running(t, sited("refusal.example.com"))
	for path, want := range map[string]string{
		"/mcp":  `resource_metadata="https://refusal.example.com/.well-known/oauth-protected-resource/mcp"`,
		"/mcp/": `resource_metadata="https://refusal.example.com/.well-known/oauth-protected-resource/mcp/"`,
	} {
		w := ask(t, h, prepared(http.MethodGet, "https://refusal.example.com"+path), new(backend))
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Header().Get("WWW-Authenticate"), want) || w.Header().Get("Strict-Transport-Security") != authserver.HSTS {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	_, plainHTTP := running(t, "resource http://localhost/mcp\n"+nowhere+"store memory\n")
	w := ask(t, plainHTTP, prepared(http.MethodGet, "http://localhost/mcp"), new(backend))
	if w.Code != http.StatusUnauthorized || len(w.Header()["Strict-Transport-Security"]) != 0 {
		t.Errorf("over http: %d %v", w.Code, w.Header())
	}
	// A preflight is answered and that is all.
	w = ask(t, h, prepared(http.MethodOptions, "https://refusal.example.com/mcp", "Origin", "http://localhost:1", "Access-Control-Request-Method", "POST"), new(backend))
	if w.Code != http.StatusNoContent || w.Body.Len() != 0 || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("preflight: %d %q %v", w.Code, w.Body, w.Header())
	}
	// An unfinished handler has no log to refer to.
	w = ask(t, &Handler{}, prepared(http.MethodGet, "https://refusal.example.com/mcp"), new(backend))
	if ref, there := body(t, w)["ref"]; there {
		t.Errorf("ref %v", ref)
	}
}

// A route that nobody decided is no permission.
func TestSec_J20_UndecidedRouteIsRefused(t *testing.T) {
	_, h := running(t, sited("undecided.example.com"))
	was := h.instance.table
	h.instance.table = new(route.Table)
	defer func() { h.instance.table = was }()
	next := new(backend)
	w := ask(t, h, prepared(http.MethodGet, "https://undecided.example.com/mcp"), next)
	if w.Code != http.StatusServiceUnavailable || next.hits != 0 || body(t, w)["ref"] == nil {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A token that the memory of the node does not know needs the site; what it knows does not.
func TestQuestionNeedsTheSite(t *testing.T) {
	c, h := running(t, sited("asks.example.com"))
	admitGood(h)
	before := h.instance.site.uses.state.Load()
	if _, pass, err := h.instance.admitFirst(t.Context(), guard.Request{}); pass != nil || err == nil || h.instance.site.uses.state.Load() != before {
		t.Errorf("%v %v, the lease is at %d", pass, err, h.instance.site.uses.state.Load())
	}
	c.stop()
	w := ask(t, h, prepared(http.MethodPost, "https://asks.example.com/mcp", "Authorization", "Bearer good"), new(backend))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	h.instance.site.uses.close()
	target := h.instance.targets[h.instance.policy.Resources[0]]
	r := prepared(http.MethodPost, "https://asks.example.com/mcp", "Authorization", "Bearer good")
	_, pass, err := h.instance.admit(t.Context(), guard.Request{HTTP: r, Target: target, Began: clock.System()})
	if pass != nil || !errors.Is(err, errNotProvisioned) {
		t.Errorf("%v %v", pass, err)
	}
}

// A request that was under way when its site went is told 503.
func TestSiteGoesDuringTheRequest(t *testing.T) {
	c, h := running(t, sited("goes.example.com"))
	in := h.instance
	c.stop()
	in.site.services.Store(nil)
	r := prepared(http.MethodPost, "https://goes.example.com/oauth/token")
	w := httptest.NewRecorder()
	in.answer(w, r, route.Route{Kind: route.Endpoint, Endpoint: "token"})
	if w.Code != http.StatusServiceUnavailable || body(t, w)["ref"] == nil {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	g, pass, err := in.admit(t.Context(), guard.Request{HTTP: r})
	if g != nil || pass != nil || !errors.Is(err, errNotProvisioned) {
		t.Errorf("%v %v %v", g, pass, err)
	}
	if n := in.site.uses.state.Load(); n != 1 {
		t.Errorf("the lease is at %d", n)
	}
}

func TestDocumentsOfTheHandler(t *testing.T) {
	_, h := running(t, sited("docs.example.com"))
	get := func(path string) *httptest.ResponseRecorder {
		return ask(t, h, prepared(http.MethodGet, "https://docs.example.com"+path), new(backend))
	}
	for path, want := range map[string]string{
		"/.well-known/oauth-protected-resource/mcp":  "https://docs.example.com/mcp",
		"/.well-known/oauth-protected-resource/mcp/": "https://docs.example.com/mcp/",
		"/.well-known/oauth-protected-resource":      "https://docs.example.com/mcp",
	} {
		if m := body(t, get(path)); m["resource"] != want || m["issuer"] != nil {
			t.Errorf("%s: %v", path, m)
		}
	}
	if m := body(t, get("/.well-known/oauth-authorization-server/oauth")); m["issuer"] != "https://docs.example.com/oauth" || m["resource"] != nil {
		t.Errorf("%v", m)
	}
	w := get("/.well-known/oauth-authorization-server/mcp")
	if w.Code != http.StatusNotFound || w.Header().Get("Access-Control-Allow-Origin") != "*" || body(t, w)["error"] != "not_found" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestSec_J10_EarlyDataIsLogged(t *testing.T) {
	_, h := running(t, sited("early.example.com"))
	log := logged(h)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		w := ask(t, h, prepared(method, "https://early.example.com/oauth/token", "Early-Data", "1"), new(backend))
		ref, _ := body(t, w)["ref"].(string)
		if w.Code != http.StatusTooEarly || ref == "" || !strings.Contains(log.String(), "request refused") || strings.Count(log.String(), ref) != 2 {
			t.Errorf("%s: %d %s\n%s", method, w.Code, w.Body, log)
		}
	}
	w := ask(t, h, prepared(http.MethodGet, "https://early.example.com/.well-known/oauth-protected-resource/mcp", "Early-Data", "1"), new(backend))
	if w.Code != http.StatusOK {
		t.Errorf("a document: %d", w.Code)
	}
}

// The reference id of an answer is the one of its log line, and the address is the web
// server's word: it is what registrations are counted by.
func TestCallOfAnEndpoint(t *testing.T) {
	_, h := running(t, sited("call.example.com", "registration {\nrate 1 1h\n}"))
	log := logged(h)
	register := func(address, client string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "https://call.example.com/oauth/register", strings.NewReader(client))
		r.Header.Set("Content-Type", "application/json")
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, new(caddyhttp.Server))
		caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, address)
		return ask(t, h, r, new(backend))
	}
	for _, tt := range []struct {
		address, name string
		want          int
	}{{"203.0.113.1", "a", 201}, {"203.0.113.1", "b", 429}, {"203.0.113.2", "b", 201}, {"203.0.113.2", "c", 429}} {
		client := `{"client_name":"` + tt.name + `","redirect_uris":["https://a.example.com/cb"]}`
		if w := register(tt.address, client); w.Code != tt.want {
			t.Errorf("%+v: %d %s", tt, w.Code, w.Body)
		}
	}
	w := register("203.0.113.1", "{")
	if ref, _ := body(t, w)["ref"].(string); ref == "" || !strings.Contains(log.String(), "ref="+ref) {
		t.Errorf("%s\n%s", w.Body, log)
	}
}

func TestMisdirectedIsExplainedOnce(t *testing.T) {
	_, h := running(t, sited("here.example.com"))
	log := logged(h)
	for range 3 {
		if w := ask(t, h, prepared(http.MethodGet, "https://there.example.com/mcp"), new(backend)); w.Code != http.StatusMisdirectedRequest {
			t.Errorf("%d", w.Code)
		}
	}
	if n := strings.Count(log.String(), "is the resource's URL in the configuration"); n != 1 {
		t.Errorf("explained %d times", n)
	}
	if !strings.Contains(log.String(), "host=there.example.com resource=https://here.example.com/mcp") {
		t.Errorf("%s", log)
	}
}

func TestSec_J13_SettingsOfH2CGoToo(t *testing.T) {
	t.Parallel()
	for upgrade, want := range map[string][]string{
		"h2c": {"Connection"}, " H2C ,websocket": {"Connection"}, "websocket": {"Connection", "Http2-Settings", "Upgrade"}, "h2cx": {"Connection", "Http2-Settings", "Upgrade"},
	} {
		r := prepared(http.MethodGet, "https://a.example.com/", "Upgrade", upgrade, "HTTP2-Settings", "x", "Connection", "Upgrade")
		dropH2C(r)
		if got := slices.Sorted(maps.Keys(r.Header)); !slices.Equal(got, want) {
			t.Errorf("%q: %q are left", upgrade, got)
		}
	}
}

func TestOriginalPath(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "https://a.example.com/now", nil)
	if p := originalPath(r); p != "/now" {
		t.Errorf("without an original request: %s", p)
	}
	for want, o := range map[string]http.Request{"/now": {}, "/sent%2f": {URL: &url.URL{Path: "/sent/", RawPath: "/sent%2f"}}} {
		if p := originalPath(r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, o))); p != want {
			t.Errorf("%s, want %s", p, want)
		}
	}
}

// person lets a token through that stands for a person with everything.
func person(t *testing.T, host string, p provider.Person) *http.Request {
	t.Helper()
	_, h := running(t, sited(host))
	admit(h.instance.site, lookupFunc(func(ctx context.Context, token string) (*guard.Access, error) {
		a, err := knowsGood(h.instance.policy.Resources[0].URL)(ctx, token)
		a.Person = p
		return a, err
	}))
	r := prepared(http.MethodGet, "https://"+host+"/mcp", "Authorization", "Bearer good")
	ask(t, h, r, new(backend))
	return r
}

func TestPlaceholdersOfAPerson(t *testing.T) {
	all := provider.Person{Subject: "s", Name: "N", PreferredUsername: "u@example.com", Email: "e@example.com", EmailVerified: true}
	r := person(t, "person.example.com", all)
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	for name, want := range map[string]string{"id": "s", "client_id": "dcr_1", "name": "N", "preferred_username": "u@example.com", "email": "e@example.com"} {
		if v, known := repl.Get("http.auth.user." + name); !known || v != want {
			t.Errorf("%s is %v, %t", name, v, known)
		}
	}
	for _, name := range []string{"id", "name", "http.other.id", "http.auth.user.phone"} {
		if v, known := repl.Get(name); known {
			t.Errorf("%s is %v", name, v)
		}
	}
	all.EmailVerified = false
	repl = person(t, "unverified.example.com", all).Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if v, known := repl.Get("http.auth.user.email"); known {
		t.Errorf("an address that nobody verified: %v", v)
	}
}

// Every placeholder of an outer handler goes where a request is refused.
func TestSec_J18_EveryPlaceholderIsCleared(t *testing.T) {
	_, h := running(t, sited("cleared.example.com"))
	r := prepared(http.MethodGet, "https://cleared.example.com/mcp")
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	names := []string{"id", "client_id", "name", "preferred_username", "email"}
	for _, p := range names {
		repl.Set("http.auth.user."+p, "outer")
	}
	ask(t, h, r, new(backend))
	for _, p := range names {
		if v, known := repl.Get("http.auth.user." + p); known {
			t.Errorf("%s is still %v", p, v)
		}
	}
	// The variable is not made where there was none.
	if _, there := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)[resourceVar]; there {
		t.Error("there is a variable that nobody set")
	}
}

// Without the web server's own things in the context nothing breaks.
func TestBareRequest(t *testing.T) {
	_, h := running(t, sited("bare.example.com"))
	admitGood(h)
	r := prepared(http.MethodGet, "https://bare.example.com/mcp", "Authorization", "Bearer good")
	_, pass, err := h.instance.admit(r.Context(), guard.Request{HTTP: r, Target: h.instance.targets[h.instance.policy.Resources[0]], Began: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	defer pass.Close()
	vars := map[string]any{}
	bare := r.WithContext(context.WithValue(context.Background(), caddyhttp.VarsCtxKey, vars))
	clearUser(replacerOf(bare))
	h.instance.setUser(bare, replacerOf(bare), pass)
	if vars[resourceVar] != "https://bare.example.com/mcp" {
		t.Errorf("%v", vars)
	}
	addLogFields(context.Background(), zap.String("a", "b"))
	extra := new(caddyhttp.ExtraLogFields)
	logging := &caddyhttp.Server{Logs: new(caddyhttp.ServerLogConfig)}
	with := func(server any) context.Context {
		return context.WithValue(context.WithValue(bare.Context(), caddyhttp.ExtraLogFieldsCtxKey, extra), caddyhttp.ServerCtxKey, server)
	}
	for server, want := range map[any]bool{(*caddyhttp.Server)(nil): false, new(caddyhttp.Server): false, logging: true, "no server": false} {
		if got := logsAccess(with(server)); got != want {
			t.Errorf("%v: %t", server, got)
		}
	}
	if logsAccess(context.Background()) {
		t.Error("nobody logs, and it is said")
	}
}
