// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

const callback = "https://mcp.example.com/oauth/callback"

// verifier and challenge are the example of RFC 7636 appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

type emulated struct {
	*Emulator
	clock *clock.Fake
}

func start(t *testing.T) emulated {
	t.Helper()
	c := clock.NewFake(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	e := Run(t, Options{Now: c.Now, RedirectURIs: []string{callback, "http://localhost/cb"}})
	e.SignInAs("anna@contoso.example")
	return emulated{e, c}
}

func good() url.Values {
	return url.Values{
		"client_id": {DefaultClientID}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {"openid profile offline_access"},
		"state": {"s"}, "nonce": {"n"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
}

func with(q url.Values, pairs ...string) url.Values {
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	return q
}

func (e emulated) authorize(t *testing.T, q url.Values) (url.Values, int) {
	t.Helper()
	return Visit(t, e.URL()+"/"+DefaultTenant+"/oauth2/v2.0/authorize?"+q.Encode())
}

func (e emulated) code(t *testing.T) string {
	t.Helper()
	answer, status := e.authorize(t, good())
	if answer.Get("code") == "" {
		t.Fatalf("no code: %d %v", status, answer)
	}
	return answer.Get("code")
}

func (e emulated) token(t *testing.T, f url.Values) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/"+DefaultTenant+"/oauth2/v2.0/token", strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	e.ServeHTTP(w, r)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return w.Code, body
}

func redemption(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier},
		"client_id": {DefaultClientID}, "client_secret": {DefaultClientSecret}, "scope": {"openid profile offline_access"},
	}
}

func wantNumber(t *testing.T, status int, body map[string]any, code string, number int) {
	t.Helper()
	numbers, _ := body["error_codes"].([]any)
	if status < 400 || body["error"] != code || len(numbers) != 1 || numbers[0] != float64(number) {
		t.Errorf("got %d %v, want %s %d", status, body, code, number)
	}
	for _, member := range []string{"error_description", "timestamp", "trace_id", "correlation_id", "error_uri"} {
		if body[member] == nil {
			t.Errorf("%s is missing", member)
		}
	}
}

func TestAuthorizeErrors(t *testing.T) {
	t.Parallel()
	e := start(t)
	for name, tt := range map[string]struct {
		change []string
		want   string // error of the redirect; "" is a page
	}{
		"resource":          {[]string{"resource", "https://mcp.example.com/mcp"}, "invalid_target"},
		"unknown parameter": {[]string{"audience", "x"}, "invalid_request"},
		"response_type":     {[]string{"response_type", "token"}, "unsupported_response_type"},
		"no scope":          {[]string{"scope", ""}, "invalid_request"},
		"client's scope":    {[]string{"scope", "openid mcp.read"}, "invalid_scope"},
		"foreign resource":  {[]string{"scope", "openid api://other/x"}, "invalid_resource"},
		"short challenge":   {[]string{"code_challenge", "short"}, "invalid_request"},
		"challenge method":  {[]string{"code_challenge_method", "S512"}, "invalid_request"},
		"prompt none":       {[]string{"prompt", "none"}, "login_required"},
		"prompt unknown":    {[]string{"prompt", "maybe"}, "invalid_request"},
		"hint and select":   {[]string{"prompt", "select_account", "login_hint", "anna@contoso.example"}, "invalid_request"},
		"redirect":          {[]string{"redirect_uri", callback + "/"}, ""},
		"redirect case":     {[]string{"redirect_uri", "https://mcp.example.com/OAuth/callback"}, ""},
		"client":            {[]string{"client_id", DefaultTenant}, ""},
		"long state":        {[]string{"state", strings.Repeat("x", 3000)}, ""},
		"unknown user":      {[]string{"login_hint", "nobody"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, status := e.authorize(t, with(good(), tt.change...))
			if answer.Get("error") != tt.want || tt.want == "" && status != http.StatusBadRequest || answer.Has("code") {
				t.Errorf("got %d %v, want %q", status, answer, tt.want)
			}
			if tt.want != "" && answer.Get("state") != "s" {
				t.Error("the state is missing")
			}
		})
	}
	for _, tenant := range []string{"common", "unknown.example"} {
		if answer, status := Visit(t, e.URL()+"/"+tenant+"/oauth2/v2.0/authorize?"+good().Encode()); answer != nil || status != 400 {
			t.Errorf("%s: %d %v", tenant, status, answer)
		}
	}
	if answer, _ := e.authorize(t, with(good(), "redirect_uri", "http://localhost:4711/cb")); answer.Get("code") == "" {
		t.Error("the port of localhost counts")
	}
}

func TestCodeRules(t *testing.T) {
	t.Parallel()
	e := start(t)
	status, body := e.token(t, with(redemption(e.code(t)), "code_verifier", verifier+"x"))
	wantNumber(t, status, body, "invalid_grant", 501481)
	status, body = e.token(t, with(redemption(e.code(t)), "code_verifier", ""))
	wantNumber(t, status, body, "invalid_grant", 501481)
	status, body = e.token(t, with(redemption(e.code(t)), "redirect_uri", "http://localhost/cb"))
	wantNumber(t, status, body, "invalid_grant", 500112)
	status, body = e.token(t, redemption("nothing"))
	wantNumber(t, status, body, "invalid_grant", 70000)
	code := e.code(t)
	if status, body = e.token(t, redemption(code)); status != 200 || body["id_token"] == nil || body["refresh_token"] == nil {
		t.Fatalf("%d %v", status, body)
	}
	status, body = e.token(t, redemption(code))
	wantNumber(t, status, body, "invalid_grant", 54005)
	late := e.code(t)
	e.clock.Advance(codeLife)
	status, body = e.token(t, redemption(late))
	wantNumber(t, status, body, "invalid_grant", 70008)
	status, body = e.token(t, redemption(body["error"].(string)))
	wantNumber(t, status, body, "invalid_grant", 70000)
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	e := start(t)
	for name, tt := range map[string]struct {
		change []string
		code   string
		number int
	}{
		"no scope":          {[]string{"scope", ""}, "invalid_request", 900144},
		"two resources":     {[]string{"scope", "openid User.Read " + DefaultClientID + "/x"}, "invalid_scope", 28000},
		"client's scope":    {[]string{"scope", "mcp"}, "invalid_scope", 650053},
		"resource":          {[]string{"resource", "https://mcp.example.com/mcp"}, "invalid_target", 9010010},
		"unknown parameter": {[]string{"audience", "x"}, "invalid_request", 9002313},
		"secret wrong":      {[]string{"client_secret", "x"}, "invalid_client", 7000215},
		"secret absent":     {[]string{"client_secret", ""}, "invalid_client", 7000218},
		"client":            {[]string{"client_id", DefaultTenant}, "unauthorized_client", 700016},
		"grant type":        {[]string{"grant_type", "password"}, "unsupported_grant_type", 70003},
		"code as refresh":   {[]string{"grant_type", "refresh_token", "refresh_token", "nothing"}, "invalid_grant", 70000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, body := e.token(t, with(redemption("x"), tt.change...))
			wantNumber(t, status, body, tt.code, tt.number)
		})
	}
	r := httptest.NewRequest(http.MethodPost, "/"+DefaultTenant+"/oauth2/v2.0/token", strings.NewReader(redemption("x").Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://mcp.example.com")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if !strings.Contains(w.Body.String(), "9002326") {
		t.Errorf("Origin: %s", w.Body)
	}
	w = httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+DefaultTenant+"/oauth2/v2.0/token", nil))
	if !strings.Contains(w.Body.String(), "900561") {
		t.Errorf("GET: %s", w.Body)
	}
}

func TestRefreshRules(t *testing.T) {
	t.Parallel()
	e := start(t)
	_, body := e.token(t, redemption(e.code(t)))
	first, _ := body["refresh_token"].(string)
	f := func(token string) url.Values {
		return with(redemption(""), "grant_type", "refresh_token", "refresh_token", token, "code", "", "code_verifier", "", "redirect_uri", "")
	}
	status, body := e.token(t, f(first))
	second, _ := body["refresh_token"].(string)
	if status != 200 || second == "" || second == first {
		t.Fatalf("%d %v", status, body)
	}
	if status, _ = e.token(t, f(first)); status != 200 {
		t.Error("the old refresh token was revoked by its use")
	}
	e.RevokeSessions("anna@contoso.example")
	status, body = e.token(t, f(second))
	wantNumber(t, status, body, "invalid_grant", 50173)
	e.clock.Advance(time.Second)
	_, body = e.token(t, redemption(e.code(t)))
	third, _ := body["refresh_token"].(string)
	if status, _ = e.token(t, f(third)); status != 200 {
		t.Error("a sign-in after the revocation does not work")
	}
	e.Disable("anna@contoso.example")
	status, body = e.token(t, f(third))
	wantNumber(t, status, body, "invalid_grant", 50057)
	e.clock.Advance(idleLife)
	status, body = e.token(t, f(third))
	wantNumber(t, status, body, "invalid_grant", 700082)
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	e := start(t)
	for tenant, issuer := range map[string]string{
		DefaultTenant: DefaultTenant, DefaultDomain: DefaultTenant, "common": "{tenantid}", "organizations": "{tenantid}", "consumers": consumerTenant,
	} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+tenant+"/v2.0/.well-known/openid-configuration", nil))
		var m map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || m["issuer"] != e.URL()+"/"+issuer+"/v2.0" {
			t.Errorf("%s: %v %s", tenant, err, w.Body)
		}
		if m["code_challenge_methods_supported"] != nil || m["registration_endpoint"] != nil {
			t.Error("the document has what Microsoft's lacks")
		}
	}
	for path, want := range map[string]int{
		"/unknown.example/v2.0/.well-known/openid-configuration":             400,
		"/" + DefaultTenant + "/v2.0/.well-known/oauth-authorization-server": 404,
		"/.well-known/oauth-authorization-server":                            404,
	} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	e := start(t)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+DefaultTenant+"/discovery/v2.0/keys", nil))
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil || len(set.Keys) < 3 {
		t.Fatalf("%v %s", err, w.Body)
	}
	kids := make(map[any]bool)
	for _, k := range set.Keys {
		kids[k["kid"]] = true
		if k["alg"] != nil || k["issuer"] == nil || k["x5c"] == nil || k["d"] != nil {
			t.Errorf("key %v", k)
		}
	}
	if len(kids) != len(set.Keys) {
		t.Error("two keys have one kid")
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	e := start(t)
	e.SignInAs("")
	page := func() string {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+DefaultTenant+"/oauth2/v2.0/authorize?"+good().Encode(), nil))
		_, after, _ := strings.Cut(w.Body.String(), `name="request" value="`)
		id, _, _ := strings.Cut(after, `"`)
		if w.Code != 200 || id == "" || !strings.Contains(w.Body.String(), "ben@contoso.example") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return id
	}
	choose := func(f url.Values) *http.Response {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/"+DefaultTenant+"/login", strings.NewReader(f.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		e.ServeHTTP(w, r)
		return w.Result()
	}
	id := page()
	resp := choose(url.Values{"request": {id}, "user": {"ben@contoso.example"}})
	if to, err := resp.Location(); err != nil || to.Query().Get("code") == "" || to.Query().Get("state") != "s" {
		t.Errorf("chosen: %v %v", to, err)
	}
	if resp = choose(url.Values{"request": {id}, "user": {"ben@contoso.example"}}); resp.StatusCode != 400 {
		t.Errorf("the page works twice: %d", resp.StatusCode)
	}
	resp = choose(url.Values{"request": {page()}, "decline": {"1"}})
	if to, err := resp.Location(); err != nil || to.Query().Get("error") != "access_denied" {
		t.Errorf("declined: %v %v", to, err)
	}
	e.Disable("ben@contoso.example")
	resp = choose(url.Values{"request": {page()}, "user": {"ben@contoso.example"}})
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !strings.Contains(string(text), "AADSTS50057") {
		t.Errorf("disabled: %d %s", resp.StatusCode, text)
	}
}

func TestFaultsAndLog(t *testing.T) {
	t.Parallel()
	e := start(t)
	once := Throttled()
	once.Times = 1
	e.Break(Token, once)
	for i, want := range []int{429, 400} {
		if status, _ := e.token(t, redemption("x")); status != want {
			t.Errorf("request %d: %d, want %d", i, status, want)
		}
	}
	got := e.Requests(Token)
	if len(got) != 2 || got[0].Form.Get("code") != "x" || got[0].Method != http.MethodPost {
		t.Errorf("the log is %v", got)
	}
	e.Break(Token, Looping())
	status, body := e.token(t, redemption("x"))
	if status != 400 || body["error"] != "invalid_grant" {
		t.Errorf("loop: %d %v", status, body)
	}
}

func TestLax(t *testing.T) {
	t.Parallel()
	e := Run(t, Options{Lax: true, RedirectURIs: []string{callback}})
	e.SignInAs("anna@contoso.example")
	answer, _ := Visit(t, e.URL()+"/"+DefaultTenant+"/oauth2/v2.0/authorize?"+with(good(), "audience", "x").Encode())
	if answer.Get("code") == "" {
		t.Errorf("got %v", answer)
	}
	e.Register("https://second.example/cb")
	answer, _ = Visit(t, e.URL()+"/"+DefaultTenant+"/oauth2/v2.0/authorize?"+with(good(), "redirect_uri", "https://second.example/cb").Encode())
	if answer.Get("code") == "" {
		t.Errorf("got %v", answer)
	}
}

func TestBusyAddressIsAnError(t *testing.T) {
	t.Parallel()
	e := start(t)
	if _, err := Start(Options{Addr: strings.TrimPrefix(e.URL(), "http://")}); err == nil {
		t.Error("two emulators share an address")
	}
}
