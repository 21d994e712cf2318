// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

func headers(h http.Header, name string) string { return strings.Join(h[name], "|") }

func TestSec_J03_ItemsOfConnectionAndTE(t *testing.T) {
	t.Parallel()
	b := setup()
	for _, tt := range []struct {
		name     string
		in, want []string
	}{
		{"Connection", nil, nil},
		{"Connection", []string{"close"}, []string{"close"}},
		{"Connection", []string{"close,  upgrade"}, []string{"close,  upgrade"}}, // nothing to change
		{"Connection", []string{"close", "upgrade"}, []string{"close", "upgrade"}},
		{"Connection", []string{"close", "x", "Upgrade,KEEP-ALIVE"}, []string{"close, Upgrade, KEEP-ALIVE"}},
		{"Connection", []string{""}, nil},
		{"Te", []string{"trailers"}, []string{"trailers"}},
		{"Te", []string{"gzip, Trailers;q=1, trailers"}, []string{"trailers"}},
		{"Te", []string{"Authorization"}, nil},
		{"Te", []string{"trailers", "deflate"}, []string{"trailers"}},
	} {
		h := http.Header{"X": {"stays"}}
		if tt.in != nil {
			h[tt.name] = tt.in
		}
		b.admit(t, good).Apply(&http.Request{Header: h})
		if got, want := headers(h, tt.name), strings.Join(tt.want, "|"); got != want || h.Get("X") == "" {
			t.Errorf("%s %q became %q, want %q", tt.name, tt.in, got, want)
		}
		if _, there := h[tt.name]; there != (tt.want != nil) {
			t.Errorf("%s %q: %v", tt.name, tt.in, h)
		}
	}
}

func TestSec_J07_CookiesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"  a=1 ;b=2  "}, []string{"  a=1 ;b=2  "}},
		{[]string{"a=1", ""}, []string{"a=1", ""}},
		{[]string{"__Host-mcpo_"}, nil},
		{[]string{"mcpo_dev_"}, nil},
		{[]string{"mcpo_de=1"}, []string{"mcpo_de=1"}},
		{[]string{"__Host-mcpo_x=1; a=1"}, []string{"a=1"}},
		{[]string{"__Host-mcpo_x=1;\ta=1"}, []string{"\ta=1"}},
		{[]string{"a=1;\t==mcpo_dev_x"}, []string{"a=1"}},
		{[]string{"x__Host-mcpo_x=1"}, []string{"x__Host-mcpo_x=1"}},
	} {
		h := http.Header{}
		if tt.in != nil {
			h["Cookie"] = tt.in
		}
		stripCookies(h)
		if got, want := headers(h, "Cookie"), strings.Join(tt.want, "|"); got != want {
			t.Errorf("%q became %q, want %q", tt.in, got, want)
		}
		if _, there := h["Cookie"]; there != (tt.want != nil) {
			t.Errorf("%q: %v", tt.in, h)
		}
	}
	list := []string{"a=1", "b=2"}
	h := http.Header{"Set-Cookie": list}
	if stripSetCookies(h); &h["Set-Cookie"][0] != &list[0] {
		t.Error("cookies were copied for nothing")
	}
	list = []string{"a=1;b=2"}
	h = http.Header{"Cookie": list}
	if stripCookies(h); &h["Cookie"][0] != &list[0] {
		t.Error("cookies were copied for nothing")
	}
}

// wrapped is the way back of an admitted request.
func wrapped(t *testing.T, b *bench, req Request) (*Writer, *recorder) {
	t.Helper()
	pass, err := b.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pass.Close)
	under := &recorder{ResponseRecorder: httptest.NewRecorder()}
	w, _ := pass.Wrap(under, req.HTTP, func() string { return "ref1" })
	return w, under
}

// Each way to begin an answer goes through the hook once.
func TestImpliedStatus(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*Writer){
		"write":     func(w *Writer) { _, _ = w.Write([]byte("x")) },
		"read from": func(w *Writer) { _, _ = w.ReadFrom(strings.NewReader("x")) },
		"flush":     func(w *Writer) { w.Flush() },
	} {
		b := setup()
		w, under := wrapped(t, b, b.request(good))
		w.Header().Set("Www-Authenticate", "Basic")
		begin(w)
		if len(under.statuses) != 1 || under.statuses[0] != 200 || w.Status() != 200 || under.Header().Get("Vary") == "" || under.Header().Get("Www-Authenticate") != "" {
			t.Errorf("%s: %v %v", name, under.statuses, under.Header())
		}
		b = setup()
		w, under = wrapped(t, b, b.request(good))
		w.WriteHeader(http.StatusCreated)
		begin(w)
		begin(w)
		if len(under.statuses) != 1 || under.statuses[0] != 201 || w.Status() != 201 {
			t.Errorf("%s after the status: %v", name, under.statuses)
		}
	}
}

func TestInformationalAnswersPass(t *testing.T) {
	t.Parallel()
	for _, status := range []int{100, 102, 103, 199} {
		b := setup()
		w, under := wrapped(t, b, b.request(good))
		w.Header().Set("Service-Worker-Allowed", "/")
		w.WriteHeader(status)
		if w.Status() != 0 || len(under.statuses) != 1 || under.statuses[0] != status || under.Header().Get("Vary") != "" || under.Header().Get("Service-Worker-Allowed") != "" {
			t.Errorf("%d: %d %v %v", status, w.Status(), under.statuses, under.Header())
		}
		w.WriteHeader(http.StatusOK)
		if w.Status() != 200 || under.Header().Get("Vary") == "" {
			t.Errorf("%d, then %d %v", status, w.Status(), under.Header())
		}
	}
	for _, status := range []int{99, 101, 200} {
		b := setup()
		w, under := wrapped(t, b, b.request(good))
		if w.WriteHeader(status); w.Status() != status || under.Header().Get("Vary") == "" {
			t.Errorf("%d: %d %v", status, w.Status(), under.Header())
		}
	}
}

func TestWhatABackendMustNotSay(t *testing.T) {
	t.Parallel()
	b := setup()
	w, under := wrapped(t, b, b.request(good, "Origin", "https://app.example"))
	h := w.Header()
	for _, name := range []string{"Www-Authenticate", "Proxy-Authenticate", "Service-Worker-Allowed", "Access-Control-Allow-Credentials"} {
		h.Set(name, "x")
	}
	h.Set("Set-Cookie", "__Host-mcpo_b=x")
	h.Set("X-Content-Type-Options", "sniff")
	h.Set("Vary", "Accept")
	w.WriteHeader(http.StatusOK)
	want := http.Header{
		"X-Content-Type-Options": {"sniff"}, "Vary": {"Accept", "Origin", "Authorization"}, "Cache-Control": {"private"},
		"Access-Control-Allow-Origin": {"https://app.example"}, "Access-Control-Expose-Headers": {exposedHeaders},
	}
	if got := under.Header(); len(got) != len(want) {
		t.Errorf("%v", got)
	}
	for name := range want {
		if headers(h, name) != headers(want, name) {
			t.Errorf("%s: %q, want %q", name, h[name], want[name])
		}
	}
	w, _ = wrapped(t, b, b.request(good))
	w.WriteHeader(http.StatusOK)
	if h = w.Header(); headers(h, "X-Content-Type-Options") != "nosniff" || headers(h, "Vary") != varies {
		t.Errorf("%v", h)
	}
}

func TestReplacedAnswerKeepsTheWebServersHeaders(t *testing.T) {
	t.Parallel()
	b := setup()
	req := b.accepting(http.MethodGet)
	w, under := wrapped(t, b, req)
	if b.Streams().Total() != 1 {
		t.Error("the request is not in the registry")
	}
	kept := []string{"Server", "Via", "Alt-Svc", "Vary", "Strict-Transport-Security"}
	for _, name := range append(kept, "X-Backend", "Last-Modified") {
		w.Header().Set(name, "x")
	}
	w.WriteHeader(http.StatusUnauthorized)
	for _, name := range kept {
		if under.Header().Get(name) != "x" {
			t.Errorf("%s is %q", name, under.Header()[name])
		}
	}
	if headers(under.Header(), "X-Backend")+headers(under.Header(), "Last-Modified") != "" || under.Code != http.StatusBadGateway {
		t.Errorf("%d %v", under.Code, under.Header())
	}
	if b.Streams().Total() != 0 {
		t.Error("a refused answer stays in the registry")
	}
	if len(b.events) != 1 {
		t.Fatalf("%+v", b.events)
	}
	e := b.events[0]
	if e.Kind != event.BackendRefused || e.Ref != "ref1" || e.Client != "dcr_x" || e.Person != "t.o" || e.Resource != b.res.URL || e.Cause == nil {
		t.Errorf("%+v", e)
	}
	if _, err := io.WriteString(w, "the backend's words"); err != nil || strings.Contains(under.Body.String(), "backend's words") {
		t.Errorf("%v %s", err, under.Body)
	}
}

// The context of the request for the backend is that of the request which is wrapped.
func TestContextOfThePass(t *testing.T) {
	t.Parallel()
	type name struct{}
	b := setup()
	req := b.request(good)
	req.HTTP = req.HTTP.WithContext(context.WithValue(t.Context(), name{}, "first"))
	pass, err := b.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer pass.Close()
	if pass.stream.ctx.Value(name{}) != "first" {
		t.Error("before the wrap the values are those of the admitted request")
	}
	deadline := time.Now().Add(time.Hour)
	later, stop := context.WithDeadline(context.WithValue(req.HTTP.Context(), name{}, "second"), deadline)
	_, r := pass.Wrap(httptest.NewRecorder(), req.HTTP.WithContext(later), nil)
	ctx := r.Context()
	if d, ok := ctx.Deadline(); ctx.Value(name{}) != "second" || !ok || !d.Equal(deadline) {
		t.Errorf("%v, %v, %v", ctx.Value(name{}), d, ok)
	}
	if ctx.Err() != nil || ctx.Value(name{}) != "second" || ctx.Done() != ctx.Done() {
		t.Error("the context changed when somebody asked for its end")
	}
	stop()
	<-ctx.Done()
	if ctx.Err() != context.Canceled {
		t.Errorf("%v", ctx.Err())
	}
}

// Contexts that derive from the pass need no goroutine to follow it: they find it by its
// value.
func TestDerivedContextsFindTheCancellation(t *testing.T) {
	t.Parallel()
	c := &passContext{parent: t.Context()}
	first := c.waited()
	if c.waited() != first {
		t.Error("there are two")
	}
	stopped := make(chan struct{})
	context.AfterFunc(c, func() { close(stopped) })
	c.cancel()
	<-stopped
	ended := &passContext{parent: t.Context()}
	if ended.cancel(); ended.Err() == nil {
		t.Error("a context that ended before anybody asked goes on")
	}
}

func TestPreflightAnswer(t *testing.T) {
	t.Parallel()
	b := setup()
	for _, tt := range []struct {
		ask, allowed string
	}{{"authorization, x-other", "authorization"}, {"x-other", ""}, {"", ""}} {
		r := httptest.NewRequest(http.MethodOptions, "https://h.example/mcp", nil)
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		if tt.ask != "" {
			r.Header.Set("Access-Control-Request-Headers", tt.ask)
		}
		w := httptest.NewRecorder()
		if !Preflight(w, r, b.res) {
			t.Fatal("no answer")
		}
		h := w.Header()
		if headers(h, "Access-Control-Allow-Headers") != tt.allowed || headers(h, "Vary") != "Origin|Access-Control-Request-Headers" || w.Code != http.StatusNoContent {
			t.Errorf("%q: %d %v", tt.ask, w.Code, h)
		}
		if _, there := h["Access-Control-Allow-Headers"]; there != (tt.allowed != "") {
			t.Errorf("%q: %v", tt.ask, h)
		}
	}
	h := http.Header{"Access-Control-Allow-Origin": {"*"}, "Access-Control-Max-Age": {"1"}, "X": {"stays"}}
	if allowOrigin(h, ""); len(h) != 1 {
		t.Errorf("%v", h)
	}
	for origin, want := range map[string]bool{
		"http://localhost": true, "https://127.0.0.1:80": true, "localhost": false, "localhost:80": false, "ftp://localhost": false, "127.0.0.1": false,
	} {
		if isLoopback(origin) != want {
			t.Errorf("isLoopback(%q) = %t", origin, !want)
		}
	}
}

func TestRefusalHeaders(t *testing.T) {
	t.Parallel()
	b := setup()
	w := httptest.NewRecorder()
	w.Header().Set("WWW-Authenticate", "Basic")
	b.Refuse(w, b.request(good), errStore, "ref1")
	if h := w.Header(); headers(h, "Www-Authenticate") != "" || headers(h, "Vary") != varies {
		t.Errorf("%v", h)
	}
	w = httptest.NewRecorder()
	w.Header().Set("Vary", "Accept")
	b.Refuse(w, b.request(good), errStore, "ref1")
	if h := w.Header(); headers(h, "Vary") != "Accept|Origin|Authorization" {
		t.Errorf("%v", h)
	}
	// Nothing is counted, and nothing breaks, where something is missing.
	for _, req := range []Request{{}, {HTTP: b.request("").HTTP}, {Target: b.target}} {
		w = httptest.NewRecorder()
		var none *Guard
		none.Refuse(w, req, errNoToken, "ref1")
		b.Refuse(w, req, errNoToken, "ref1")
		if _, there := w.Header()["Www-Authenticate"]; w.Code != 401 || there != (req.Target != nil) {
			t.Errorf("%+v: %d %v", req, w.Code, w.Header())
		}
	}
}

func TestQueryAndMethodOfTheScreen(t *testing.T) {
	t.Parallel()
	if err := checkQuery(nil); err != nil {
		t.Error(err)
	}
	if err := checkQuery(&url.URL{}); err != nil {
		t.Error(err)
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "DELETE", "PATCH", "get", ""} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method = method
		r.Header.Set("Early-Data", "1")
		if got, want := early(r), !strings.Contains("GET HEAD OPTIONS TRACE", method) || method == ""; got != want {
			t.Errorf("%q: %t", method, got)
		}
	}
}

// Scopes that could not stand in a challenge are left out of it.
func TestChallengeScopesAreValid(t *testing.T) {
	t.Parallel()
	r := &policy.Resource{Scopes: oauth.Scopes{"a", `b"c`, "d,e", "offline_access", "f g", "h"}}
	if got := challengeScopes(r, nil); got != "a h" {
		t.Errorf("%q", got)
	}
}
