// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// random is what differs between two runs.
var random = []struct {
	find *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`mcpo_(at|rt|ac)_[A-Za-z0-9_-]{96}`), "mcpo_${1}_…"},
	{regexp.MustCompile(`token=[A-Za-z0-9_-]{200,}`), "token=…"},
	{regexp.MustCompile(`state=[A-Za-z0-9_-]{64}`), "state=…"},
	{regexp.MustCompile(`(nonce|code_challenge)=[A-Za-z0-9_-]{43}`), "$1=…"},
	{regexp.MustCompile(`__Host-mcpo_([fb])_([0-9a-f]{8})_[0-9a-f]{16}=[A-Za-z0-9_-]+`), "__Host-mcpo_${1}_${2}_…=…"},
	{regexp.MustCompile(`__Host-mcpo_([fb])_([0-9a-f]{8})_[0-9a-f]{16}=;`), "__Host-mcpo_${1}_${2}_…=;"},
	{regexp.MustCompile(`"(x|y|n|kid)":"[A-Za-z0-9_-]{43,}"`), `"$1":"…"`},
	{regexp.MustCompile(`dcr_[A-Za-z0-9_-]{43}`), "dcr_…"},
	{regexp.MustCompile(`mcpo_cs_[A-Za-z0-9_-]{43}`), "mcpo_cs_…"},
	{regexp.MustCompile(`'sha256-[^']+'`), "'sha256-…'"},
	{regexp.MustCompile(`(?m)^Content-Length: \d+$`), "Content-Length: …"},
	{regexp.MustCompile(`(?m)^Etag: ".*"$`), `Etag: "…"`},
	{regexp.MustCompile(`"jti":"[0-9a-f]{16}"`), `"jti":"…"`},
	{regexp.MustCompile(`(reference |"ref":")[0-9a-z]{16}`), "${1}…"},
}

// exact is how many of these hold for documents too, whose bytes are always the same.
const exact = 10

// golden compares a whole answer with testdata. Of a page it keeps headers and heading;
// package pages has the rest.
func golden(t *testing.T, name string, rec *httptest.ResponseRecorder) {
	t.Helper()
	res := rec.Result()
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", res.StatusCode, http.StatusText(res.StatusCode))
	var lines []string
	for h, values := range res.Header {
		for _, v := range values {
			lines = append(lines, h+": "+v)
		}
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, "\n") + "\n\n")
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		b.WriteString(heading(rec) + "\n")
	} else {
		b.WriteString(rec.Body.String())
	}
	got := b.String()
	rules := random
	if strings.HasPrefix(name, "doc_") {
		rules = random[:exact]
	}
	for _, r := range rules {
		got = r.find.ReplaceAllString(got, r.with)
	}
	path := filepath.Join("testdata", name+".http")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

// document answers one of the three kinds of documents.
func (w *world) document(which string, r *http.Request) *httptest.ResponseRecorder {
	rec, c := httptest.NewRecorder(), Call{Address: home, Ref: "ref0"}
	switch which {
	case "as":
		w.ServerMetadata(rec, r, c)
	case "prm":
		w.ResourceMetadata(rec, r, c, w.Policy.Resources[0], false)
	case "prm_slash":
		w.ResourceMetadata(rec, r, c, w.Policy.Resources[0], true)
	default:
		w.NoDocument(rec, r, c)
	}
	return rec
}

var places = map[string]func(*setup){
	"":      func(*setup) {},
	"_root": func(s *setup) { s.resources = []string{"https://mcp.example.com/"} },
	"_host": func(s *setup) { s.resources = []string{"https://mcp.example.com"} },
	"_bare": func(s *setup) { s.issuer = "https://login.example.com" },
	"_local": func(s *setup) {
		s.issuer, s.resources = "http://localhost:8080/oauth", []string{"http://localhost:8080/mcp"}
	},
	"_off":        func(s *setup) { s.regOff = true },
	"_introspect": introspecting,
}

func TestGoldenDocuments(t *testing.T) {
	t.Parallel()
	for place, change := range places {
		w := newWorld(t, change)
		for _, which := range []string{"as", "prm", "prm_slash"} {
			golden(t, "doc_"+which+place, w.document(which, request("GET", w.Policy.Issuer+"/x", "")))
		}
	}
}

func TestGoldenDocumentMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	etag := w.document("as", request("GET", issuer, "")).Header().Get("ETag")
	for name, r := range map[string]*http.Request{
		"doc_head":      request("HEAD", issuer, ""),
		"doc_options":   request("OPTIONS", issuer, "", "Origin", "https://evil.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "mcp-protocol-version"),
		"doc_post":      request("POST", issuer, "x"),
		"doc_unchanged": request("GET", issuer, "", "If-None-Match", `"other", W/`+etag),
	} {
		golden(t, name, w.document("as", r))
	}
	golden(t, "doc_none", w.document("none", request("GET", issuer, "")))
	for match, status := range map[string]int{`*`: 304, etag: 304, `"x"`: 200, ``: 200, strings.Trim(etag, `"`): 200} {
		if rec := w.document("as", request("GET", issuer, "", "If-None-Match", match)); rec.Code != status {
			t.Errorf("If-None-Match %s: %d", match, rec.Code)
		}
	}
}

func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	post := func(endpoint, typ, body string, header ...string) *httptest.ResponseRecorder {
		return w.call(request("POST", issuer+"/"+endpoint, body, append(header, "Content-Type", typ)...))
	}
	b := w.browser()
	rec := b.get(w.authorizeURL(ask(id, claude)))
	golden(t, "authorize", rec)
	golden(t, "authorize_post", post("authorize", formType, ask(id, claude).Encode()))
	golden(t, "authorize_error", w.browser().get(w.authorizeURL(ask(id, claude, "scope", "x", "response_type", "token"))))
	golden(t, "authorize_unknown_client", w.browser().get(w.authorizeURL(ask("x", claude))))
	golden(t, "authorize_unknown_client_json", w.call(request("GET", w.authorizeURL(ask("x", claude)), "", "Accept", "application/json")))
	page := rec.Header().Get("Location")
	golden(t, "login", b.get(page))
	form := b.show(t, page)
	rec = b.submit(form)
	golden(t, "continue", rec)
	callback := issuer + "/callback?code=c&state=" + param(t, rec.Header().Get("Location"), "state")
	rec = b.get(callback)
	golden(t, "callback", rec)
	code := param(t, rec.Header().Get("Location"), "code")
	golden(t, "token", w.tokenCall(exchange(id, code)))
	golden(t, "token_invalid_grant", w.tokenCall(exchange(id, code)))
	golden(t, "token_invalid_client", w.tokenCall(exchange("x", code), basic("x", "y")...))
	golden(t, "token_options", w.call(request("OPTIONS", issuer+"/token", "", "Origin", "https://evil.example", "Access-Control-Request-Headers", "authorization, content-type")))
	golden(t, "token_get", w.call(request("GET", issuer+"/token", "")))
	golden(t, "register", post("register", "application/json", `{"redirect_uris":["`+claude+`"]}`))
	golden(t, "register_confidential", post("register", "application/json", `{"redirect_uris":["`+claude+`"],"token_endpoint_auth_method":"client_secret_post"}`))
	golden(t, "register_error", post("register", "application/json", `{}`))
	golden(t, "jwks", w.call(request("GET", issuer+"/jwks", "")))
	golden(t, "jwks_rsa", newWorld(t, func(s *setup) { s.alg = tokens.RS256 }).call(request("GET", issuer+"/jwks", "")))
	golden(t, "no_endpoint", w.call(request("GET", issuer+"/introspect", "")))
	b = w.browser()
	form = b.show(t, b.get(w.authorizeURL(ask(id, claude))).Header().Get("Location"))
	form.Set("decision", "cancel")
	golden(t, "cancel", b.submit(form))
	golden(t, "continue_options", w.call(request("OPTIONS", issuer+"/login/continue", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")))
}

// The issuer is one string, wherever it appears.
func TestSec_D01_OneIssuer(t *testing.T) {
	t.Parallel()
	for _, change := range places {
		w := newWorld(t, change)
		i := w.Policy.Issuer
		if body := w.document("as", request("GET", i, "")).Body.String(); !strings.HasPrefix(body, `{"issuer":"`+i+`",`) {
			t.Error(body)
		}
		if body := w.document("prm", request("GET", i, "")).Body.String(); !strings.Contains(body, `"authorization_servers":["`+i+`"]`) {
			t.Error(body)
		}
		w.Rules.Static = []clients.Static{{ID: "c", RedirectURIs: []string{claude}}}
		b := w.browser()
		q := ask("c", claude, "resource", "-")
		for _, target := range []string{
			b.get(w.authorizeURL(ask("c", claude, "response_type", "x"))).Header().Get("Location"),
			b.get(b.leave(t, second(b.open(t, q)))).Header().Get("Location"),
			w.denied(w.requestOf(t, q)),
		} {
			if got := param(t, target, "iss"); got != i || strings.Count(target, "iss=") != 1 {
				t.Errorf("iss %q in %s, want %q", got, target, i)
			}
		}
		if w.provider.urls[0].RedirectURI != i+"/callback" {
			t.Error(w.provider.urls[0].RedirectURI)
		}
	}
}

func TestScopesOfDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if s := w.serverMetadata().ScopesSupported; !s.Has(oauth.OfflineAccess) {
		t.Error(s)
	}
	w.Policy.Resources[0].Scopes = oauth.Scopes{"mcp", oauth.OfflineAccess}
	if s := w.resourceMetadata(w.Policy.Resources[0], false).ScopesSupported; s.Has(oauth.OfflineAccess) {
		t.Error(s)
	}
}
