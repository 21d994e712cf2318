// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// faultStep is one step of a client or a person, taken while something fails, and again
// when nothing does if it did not succeed.
type faultStep struct {
	do func() string
	// mended is called when the fault is over; may be nil.
	mended func()
	// kept tells in the end whether the person or client can go on with what it has; nil
	// where there is nothing to keep.
	kept func() bool
	// consumed tells in the end whether the failed step used up what can be used once; nil
	// where nothing can.
	consumed func(first, again string, then []event.Event) bool
}

// good tells whether an answer is what the step is for.
func good(answer string) bool { return answer[0] == '2' || answer[0] == '3' || answer == "open" }

// faultSurface is a place where something can fail.
type faultSurface struct {
	name string
	// about is the kind of record that the step is about: the store fails for that one.
	about store.Kind
	// write is the write that counts, of a record of kind; the zero value where nothing is
	// written. skip is how many of its kind come before.
	write faulty.Op
	kind  store.Kind
	skip  int
	begin func(w *faultWorld) faultStep
}

var faultSurfaces = []faultSurface{
	{name: "authorize, GET", about: "client", begin: (*faultWorld).atAuthorize},
	{name: "consent, POST", about: "login", write: faulty.Create, kind: "login", begin: (*faultWorld).atConsent},
	{name: "callback", about: "login", write: faulty.Update, kind: "login", begin: (*faultWorld).atCallback},
	{name: "token, code", about: "code", write: faulty.Create, kind: "grant", begin: (*faultWorld).atExchange},
	// The first update takes the lease for asking the provider.
	{name: "token, refresh", about: "grant", write: faulty.Update, kind: "grant", skip: 1, begin: (*faultWorld).atRefresh},
	{name: "revoke", about: "grant", write: faulty.Update, kind: "grant", begin: (*faultWorld).atRevoke},
	{name: "register", about: "client", write: faulty.Create, kind: "client", begin: (*faultWorld).atRegister},
	{name: "guard", about: "grant", begin: (*faultWorld).atGuard},
	{name: "open stream", about: "grant", begin: (*faultWorld).atStream},
	{name: "metadata", begin: (*faultWorld).atMetadata},
}

const faultVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func (w *faultWorld) authorizeURL() string {
	return faultIssuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {w.client}, "redirect_uri": {faultRedirect}, "state": {"s"}, "scope": {"mcp"},
		"code_challenge": {pkce.Challenge(faultVerifier)}, "code_challenge_method": {"S256"}, "resource": {faultResource},
	}.Encode()
}

func (w *faultWorld) get(target string) *httptest.ResponseRecorder {
	return w.send(http.MethodGet, target, nil, "Accept", "text/html,*/*;q=0.8")
}

func (w *faultWorld) atAuthorize() faultStep {
	target := w.authorizeURL()
	return w.inBrowser(func() *httptest.ResponseRecorder { return w.get(target) })
}

func (w *faultWorld) atConsent() faultStep {
	form := formIn(w.get(w.get(w.authorizeURL()).Header().Get("Location")))
	step := w.inBrowser(func() *httptest.ResponseRecorder { return w.submit(form) })
	used := false
	step.mended = func() { used = w.stored("login") > 0 }
	step.consumed = func(string, string, []event.Event) bool { return used }
	return step
}

func (w *faultWorld) submit(form url.Values) *httptest.ResponseRecorder {
	return w.send(http.MethodPost, faultIssuer+"/login/continue", form, "Accept", "text/html", "Origin", "https://fault.example.com",
		"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
}

func (w *faultWorld) atCallback() faultStep {
	target := w.atProvider(w.submit(formIn(w.get(w.get(w.authorizeURL()).Header().Get("Location")))).Header().Get("Location"))
	step := w.inBrowser(func() *httptest.ResponseRecorder { return w.get(target) })
	step.consumed = func(_, again string, _ []event.Event) bool { return again != toClient }
	return step
}

// atProvider signs in at the provider and returns where that sends the browser.
func (w *faultWorld) atProvider(target string) string {
	rec := httptest.NewRecorder()
	w.idp.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, target, nil))
	return rec.Header().Get("Location")
}

// inBrowser is a step of a person, who keeps the sign-in if the links lead on to its end.
func (w *faultWorld) inBrowser(do func() *httptest.ResponseRecorder) faultStep {
	var last *httptest.ResponseRecorder
	return faultStep{
		do:   func() string { last = do(); return answerOf(last) },
		kept: func() bool { return w.follow(last) },
	}
}

// follow goes on as a person does and tells whether that ends at the client with a code.
func (w *faultWorld) follow(rec *httptest.ResponseRecorder) bool {
	for range 10 {
		switch target := rec.Header().Get("Location"); {
		case answerOf(rec) == toClient:
			return true
		case strings.HasPrefix(target, faultIDP):
			rec = w.get(w.atProvider(target))
		case strings.HasPrefix(target, faultIssuer):
			rec = w.get(target)
		case rec.Code == http.StatusOK:
			rec = w.submit(formIn(rec))
		default:
			link := linkIn(rec)
			if link == "" {
				return false
			}
			rec = w.get(link)
		}
	}
	return false
}

func (w *faultWorld) token(fields ...string) *httptest.ResponseRecorder {
	form := url.Values{"client_id": {w.client}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return w.send(http.MethodPost, faultIssuer+"/token", form)
}

// code walks through a sign-in and returns its code.
func (w *faultWorld) code() string {
	page := w.get(w.get(w.authorizeURL()).Header().Get("Location"))
	rec := w.get(w.atProvider(w.submit(formIn(page)).Header().Get("Location")))
	u, err := url.Parse(rec.Header().Get("Location"))
	if err != nil || u.Query().Get("code") == "" {
		w.t.Fatalf("no code: %s", answerOf(rec))
	}
	return u.Query().Get("code")
}

func (w *faultWorld) exchange(code string) *httptest.ResponseRecorder {
	return w.token("grant_type", "authorization_code", "code", code, "code_verifier", faultVerifier)
}

// pair is what a client holds.
type pair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// takes keeps the tokens of an answer that has some, and describes it.
func (p *pair) takes(rec *httptest.ResponseRecorder) string {
	answer := answerOf(rec)
	if answer == "200" {
		_ = json.Unmarshal(rec.Body.Bytes(), p)
	}
	return answer
}

func (w *faultWorld) signIn() *pair {
	p := new(pair)
	if answer := p.takes(w.exchange(w.code())); p.Refresh == "" {
		w.t.Fatalf("no tokens: %s", answer)
	}
	return p
}

func (w *faultWorld) refresh(p *pair) *httptest.ResponseRecorder {
	return w.token("grant_type", "refresh_token", "refresh_token", p.Refresh)
}

// lives tells whether the client can go on: with another access token, if need be.
func (w *faultWorld) lives(p *pair) bool { return p.Refresh != "" && p.takes(w.refresh(p)) == "200" }

func (w *faultWorld) atExchange() faultStep {
	code, p := w.code(), new(pair)
	return faultStep{
		do:       func() string { return p.takes(w.exchange(code)) },
		kept:     func() bool { return w.lives(p) },
		consumed: func(_, again string, _ []event.Event) bool { return again != "200" },
	}
}

func (w *faultWorld) atRefresh() faultStep {
	p := w.signIn()
	shown := *p
	return faultStep{
		do:   func() string { return p.takes(w.refresh(&shown)) },
		kept: func() bool { return w.lives(p) },
		consumed: func(first, _ string, then []event.Event) bool {
			rotated := slices.ContainsFunc(then, func(e event.Event) bool { return e.Kind == event.Refreshed && e.Mode == "rotated" })
			return good(first) || !rotated
		},
	}
}

func (w *faultWorld) atRevoke() faultStep {
	p := w.signIn()
	t, _ := tokens.Parse(tokens.Refresh, p.Refresh)
	alive := false
	return faultStep{
		do: func() string {
			return answerOf(w.send(http.MethodPost, faultIssuer+"/revoke", url.Values{"client_id": {w.client}, "token": {p.Refresh}}))
		},
		mended: func() { alive = w.site.services.Load().state.Grants.Alive(w.t.Context(), t.ID) == nil },
		kept:   func() bool { return alive },
	}
}

func (w *faultWorld) atRegister() faultStep {
	return faultStep{do: func() string {
		r := prepared(http.MethodPost, faultIssuer+"/register", "Content-Type", "application/json")
		body := `{"redirect_uris":["https://vscode.dev/redirect"],"client_name":"Code"}`
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		return answerOf(w.sendRequest(r))
	}}
}

func (w *faultWorld) atGuard() faultStep {
	p := w.signIn()
	return faultStep{
		do: func() string {
			return answerOf(w.send(http.MethodPost, faultResource, nil, "Authorization", "Bearer "+p.Access))
		},
		kept: func() bool { return w.lives(p) },
	}
}

// atStream opens an event stream; the step is a round of looking at open streams.
func (w *faultWorld) atStream() faultStep {
	p := w.signIn()
	ended := make(chan struct{})
	r := prepared(http.MethodGet, faultResource, "Authorization", "Bearer "+p.Access, "Accept", "text/event-stream")
	backend := caddyhttp.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) error {
		rw.Header().Set("Content-Type", "text/event-stream")
		rw.WriteHeader(http.StatusOK)
		<-r.Context().Done()
		return nil
	})
	ctx, cancel := context.WithCancel(r.Context())
	go func() {
		defer close(ended)
		_ = w.handler.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx), backend)
	}()
	w.leave = func() { cancel(); <-ended }
	synctest.Wait()
	return faultStep{
		do: func() string {
			w.hangUp.Store(&cancel)
			<-time.After(recheckEvery)
			synctest.Wait()
			select {
			case <-ended:
				return "ended"
			default:
				return "open"
			}
		},
		kept: func() bool { return w.lives(p) },
	}
}

func (w *faultWorld) atMetadata() faultStep {
	return faultStep{do: func() string {
		return answerOf(w.send(http.MethodGet, "https://fault.example.com/.well-known/oauth-authorization-server/oauth", nil))
	}}
}

// stored is how many records of a kind there are.
func (w *faultWorld) stored(kind store.Kind) int {
	page, err := w.store.faulty.Inner().List(w.t.Context(), store.Query{Site: w.site.services.Load().vault.Site().String(), Kind: kind, Limit: 10})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(page.Records)
}
