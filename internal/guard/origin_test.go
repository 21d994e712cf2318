// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestSec_J09_Origin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		origins []string
		status  int
	}{
		{nil, 200},
		{[]string{"https://h.example"}, 200},
		{[]string{"https://app.example"}, 200},
		{[]string{"http://localhost:6274"}, 200},
		{[]string{"http://127.0.0.1"}, 200},
		{[]string{"https://[::1]:8443"}, 200},
		{[]string{"https://evil.example"}, 403},
		{[]string{"http://h.example"}, 403},
		{[]string{"https://h.example:8443"}, 403},
		{[]string{"https://h.example.evil.example"}, 403},
		{[]string{"http://localhost.evil.example"}, 403},
		{[]string{"http://localhost@evil.example"}, 403},
		{[]string{"file://localhost"}, 403},
		{[]string{"null"}, 403},
		{[]string{""}, 403},
		{[]string{"https://h.example", "https://evil.example"}, 403},
	} {
		b := setup()
		req := b.request(good)
		if c.origins != nil {
			req.HTTP.Header["Origin"] = c.origins
		}
		w, _ := b.answer(req)
		if w.Code != c.status {
			t.Errorf("%q: %d, want %d", c.origins, w.Code, c.status)
		}
		if c.status == 403 && (b.lookups.Load() != 0 || w.Header().Get("WWW-Authenticate") != "" || w.Header().Get("Access-Control-Allow-Origin") != "") {
			t.Errorf("%q: %d look-ups, %v", c.origins, b.lookups.Load(), w.Header())
		}
	}
}

// A page must be able to read the challenge, or it could not start to sign in.
func TestRefusalIsReadableForPages(t *testing.T) {
	t.Parallel()
	b := setup()
	w, _ := b.answer(b.request("", "Origin", "http://localhost:6274"))
	h := w.Header()
	if w.Code != 401 || h.Get("Access-Control-Allow-Origin") != "http://localhost:6274" ||
		h.Get("Access-Control-Expose-Headers") != exposedHeaders || h.Get("Vary") == "" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", w.Code, h)
	}
}

func preflight(b *bench, headers ...string) (*httptest.ResponseRecorder, bool) {
	req := b.request("", headers...)
	req.HTTP.Method = http.MethodOptions
	w := httptest.NewRecorder()
	return w, Preflight(w, req.HTTP, b.res)
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	b := setup()
	w, answered := preflight(b, "Origin", "https://app.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers",
		"authorization,Content-Type, accept,last-event-id,mcp-protocol-version,mcp-session-id,mcp-param-x,dpop,x-user,cookie,mcp-\u017f,,mcp-a b")
	if !answered || w.Code != 204 || w.Body.Len() != 0 {
		t.Fatal(answered, w.Code, w.Body)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      "https://app.example",
		"Access-Control-Allow-Methods":     "GET, HEAD, POST, DELETE, OPTIONS",
		"Access-Control-Allow-Headers":     "authorization, Content-Type, accept, last-event-id, mcp-protocol-version, mcp-session-id, mcp-param-x, dpop",
		"Access-Control-Max-Age":           "600",
		"Vary":                             "Origin",
		"Access-Control-Allow-Credentials": "",
	} {
		if have := w.Header().Get(name); have != want {
			t.Errorf("%s: %q, want %q", name, have, want)
		}
	}
	for name, headers := range map[string][]string{
		"no method": {"Origin", "https://app.example"},
		"no origin": {"Access-Control-Request-Method", "POST"},
		"evil":      {"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"},
	} {
		if w, answered := preflight(b, headers...); answered || len(w.Header()) != 0 {
			t.Errorf("%s: answered with %v", name, w.Header())
		}
	}
	post := b.request("", "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
	if Preflight(httptest.NewRecorder(), post.HTTP, b.res) {
		t.Error("a POST is no preflight")
	}
}

func TestVaryIsNotRepeated(t *testing.T) {
	t.Parallel()
	for have, want := range map[string]int{"": 2, "origin": 1, "Accept, Origin": 1, "*": 1, "Origins": 2} {
		h := http.Header{"Vary": {have}}
		if addVary(h, "Origin"); len(h["Vary"]) != want {
			t.Errorf("%q became %q", have, h["Vary"])
		}
	}
}
