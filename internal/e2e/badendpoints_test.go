// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// badCall is a request that no client would make, and the answers that it may get.
type badCall struct {
	name, method, path string
	header             http.Header
	body               string
	status             int
	code               string
}

// What is wrong about a request to revoke or to introspect is said in the code of its
// standard. Nothing is a failure of the server, no token dies of it, and none is logged.
func TestBadRequestsAboutTokens(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), &secrets{}
	w.transport = tap{s, w.transport}
	text := globals("debug\n") + w.site("client payroll {\nsecret {env.PAYROLL_SECRET}\n}\n")
	text = strings.Replace(text, "resource "+w.resource+"\n", "resource "+w.resource+" {\nintrospect payroll\n}\n", 1)
	w.home.Env = []string{"PAYROLL_SECRET=" + staticSecret}
	s.add("static secret", staticSecret)
	w.start(text)
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	for _, endpoint := range []string{"/revoke", "/introspect"} {
		who := url.Values{"client_id": {c.id}}
		if endpoint == "/introspect" {
			who = url.Values{"client_id": {"payroll"}, "client_secret": {staticSecret}}
		}
		for _, token := range []string{got.access, got.refresh} {
			for _, call := range badCalls(endpoint, who, token) {
				a := w.send(call.method, w.issuer+call.path, call.header, call.body)
				if a.status != call.status || call.method != http.MethodHead && a.member(t, "error") != call.code ||
					a.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s %s: %d %s %v", endpoint, call.name, a.status, a.body, a.header)
				}
				if cors := a.header.Get("Access-Control-Allow-Origin"); endpoint == "/introspect" && a.status != http.StatusNotFound && cors != "" || a.header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s %s: open to scripts: %q", endpoint, call.name, cors)
				}
				if strings.Contains(a.body, token) || strings.Contains(a.body, staticSecret) {
					t.Errorf("%s %s: the answer has a secret: %s", endpoint, call.name, a.body)
				}
			}
		}
	}
	w.works(w.resource, got.access)
	c.tokensOf(c.refresh(got.refresh))
	w.caddy.Stop(t)
	for _, leak := range s.leaks(w.caddy.Output()) {
		t.Errorf("the output has %s", leak)
	}
	if strings.Contains(w.caddy.Output(), `"level":"error"`) {
		t.Error(w.caddy.Output())
	}
}

func badCalls(endpoint string, who url.Values, token string) []badCall {
	form := func(more ...string) string {
		v := url.Values{"token": {token}}
		for name, value := range who {
			v[name] = value
		}
		for i := 0; i+1 < len(more); i += 2 {
			v.Add(more[i], more[i+1])
		}
		return v.Encode()
	}
	typed := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	with := func(name string, values ...string) http.Header {
		h := typed.Clone()
		h[name] = values
		return h
	}
	basic := func(text string) http.Header {
		return with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(text)))
	}
	post := func(name string, h http.Header, body string, status int, code string) badCall {
		return badCall{name, http.MethodPost, endpoint, h, body, status, code}
	}
	all := []badCall{
		post("no type", http.Header{}, form(), 400, "invalid_request"),
		post("JSON", http.Header{"Content-Type": {"application/json"}}, `{"token":"`+token+`"}`, 400, "invalid_request"),
		post("plain text", http.Header{"Content-Type": {"text/plain"}}, form(), 400, "invalid_request"),
		post("multipart", http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, "--x\r\n\r\n--x--", 400, "invalid_request"),
		post("two types", with("Content-Type", "application/x-www-form-urlencoded", "text/plain"), form(), 400, "invalid_request"),
		post("compressed", with("Content-Encoding", "gzip"), form(), 400, "invalid_request"),
		post("empty", typed, "", 401, "invalid_client"),
		post("the token twice", typed, form("token", token), 400, "invalid_request"),
		post("another token beside it", typed, form("token", "x"), 400, "invalid_request"),
		post("the client twice", typed, form("client_id", "x"), 400, "invalid_request"),
		post("the hint twice", typed, form("token_type_hint", "a", "token_type_hint", "b"), 400, "invalid_request"),
		post("NUL", typed, form("x", "\x00"), 400, "invalid_request"),
		post("NUL behind the token", typed, strings.Replace(form(), token, token+"%00", 1), 400, "invalid_request"),
		post("no UTF-8", typed, form()+"&x=%ff", 400, "invalid_request"),
		post("half an escape", typed, form()+"&x=%2", 400, "invalid_request"),
		post("semicolons", typed, strings.ReplaceAll(form(), "&", ";"), 400, "invalid_request"),
		post("many parameters", typed, form()+strings.Repeat("&a=", 50), 400, "invalid_request"),
		post("too long", typed, form("x", strings.Repeat("x", 17<<10)), 413, "invalid_request"),
		post("far too long", typed, form("x", strings.Repeat("x", 1<<20)), 413, "invalid_request"),
		post("another client in Basic", basic("x:y"), form(), 400, "invalid_request"),
		post("Basic that is none", with("Authorization", "Basic \u00e9!"), form(), 401, "invalid_client"),
		post("two Authorization headers", with("Authorization", "Basic eDp5", "Basic eDp5"), form(), 401, "invalid_client"),
		post("an assertion", typed, form("client_assertion", "x", "client_assertion_type", "y"), 401, "invalid_client"),
		post("unknown client", typed, url.Values{"client_id": {"dcr_x"}, "token": {token}}.Encode(), 401, "invalid_client"),
		post("no client", typed, url.Values{"token": {token}}.Encode(), 401, "invalid_client"),
		post("the token as a secret", typed, url.Values{"client_id": {"payroll"}, "client_secret": {token}, "token": {token}}.Encode(), 401, "invalid_client"),
		post("the token as a client", typed, url.Values{"client_id": {token}, "token": {token}}.Encode(), 401, "invalid_client"),
		post("the token as a bearer", with("Authorization", "Bearer "+token), "token="+token, 401, "invalid_client"),
	}
	return append(all, badMethods(endpoint, token, form())...)
}

// badMethods are requests that say nothing wrong, at the wrong place.
func badMethods(endpoint, token, form string) []badCall {
	typed := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	all := []badCall{
		{"in the query", http.MethodPost, endpoint + "?" + form, typed, "", 400, "invalid_request"},
		{"also in the query", http.MethodPost, endpoint + "?token=" + token, typed, form, 400, "invalid_request"},
		{"GET", http.MethodGet, endpoint + "?" + form, nil, "", 405, "invalid_request"},
		{"HEAD", http.MethodHead, endpoint, nil, "", 405, ""},
		{"PUT", http.MethodPut, endpoint, typed, form, 405, "invalid_request"},
		{"DELETE", http.MethodDelete, endpoint, typed, form, 405, "invalid_request"},
		{"another method by header", http.MethodGet, endpoint, http.Header{"X-Http-Method-Override": {"POST"}}, "", 405, "invalid_request"},
		{"below", http.MethodPost, endpoint + "/", typed, form, 404, "not_found"},
		{"in capitals", http.MethodPost, strings.ToUpper(endpoint), typed, form, 400, "invalid_request"},
		{"escaped", http.MethodPost, strings.Replace(endpoint, "r", "%72", 1), typed, form, 400, "invalid_request"},
	}
	if endpoint == "/introspect" {
		all = append(all, badCall{
			"preflight", http.MethodOptions, endpoint,
			http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}}, "",
			405, "invalid_request",
		})
	}
	return all
}
