// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

func TestSec_A01_NoProviderBeforeConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, stranger)
	w.store.Set(faulty.None)
	b := w.browser()
	rec := b.get(w.authorizeURL(ask(id, stranger)))
	page := wantRedirect(t, rec, http.StatusFound, issuer+"/login?")
	if len(rec.Result().Cookies()) != 0 {
		t.Errorf("authorize sets %v", rec.Header().Values("Set-Cookie"))
	}
	if rec = b.get(page); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "stranger.example") {
		t.Errorf("%d %s", rec.Code, heading(rec))
	}
	if w.provider.asked() != 0 || w.store.Writes() != 0 {
		t.Errorf("provider asked %d times, %d writes", w.provider.asked(), w.store.Writes())
	}
	b.leave(t, b.show(t, page))
	if !w.provider.urls[0].SelectAccount {
		t.Error("a stranger's target is reached without choosing an account")
	}
}

func TestSec_B01_RedirectURIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, "https://a.example/cb")
	for _, uri := range []string{
		"https://a.example/cb/", "https://a.example/cb?x", "https://A.example/cb", "https://a.example:443/cb", "https://a.example/cb#",
		"https://a.example/cb%2f", "https://a.example/cb/../cb", "https://a.example\\@evil/cb", "https://evil@a.example/cb", "javascript:alert(1)",
		"//a.example/cb", "https://a.example/cb\n", " https://a.example/cb",
	} {
		rec := w.browser().get(w.authorizeURL(ask(id, uri)))
		wantPage(t, rec, http.StatusBadRequest, "The return address does not match")
		if strings.Contains(rec.Body.String(), "evil") {
			t.Errorf("%q is reflected", uri)
		}
	}
}

func TestRedirectURIOmitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		id   string
		good bool
	}{
		{w.register(t, claude), true},
		{w.register(t, claude, stranger), false},
		// The port of a loopback registration is not kept.
		{w.register(t, loopback), false},
		{staticID, true},
	} {
		for _, absent := range []string{"-", ""} {
			rec := w.browser().get(w.authorizeURL(ask(c.id, "", "redirect_uri", absent)))
			if good := rec.Code == http.StatusFound; good != c.good {
				t.Errorf("%s: %d %s", c.id, rec.Code, heading(rec))
			}
		}
	}
}

// RFC 6749 §4.1.2.1: nothing is redirected before client and redirect URI are known.
func TestSec_B08_ErrorsBeforeTheRedirectIsTrusted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	bad := []string{"response_type", "token", "scope", "nothing", "code_challenge", "-"}
	wantPage(t, w.browser().get(w.authorizeURL(ask("dcr_unknown", claude, bad...))), http.StatusBadRequest, "This app is not registered here")
	wantPage(t, w.browser().get(w.authorizeURL(ask("", claude, bad...))), http.StatusBadRequest, "This app is not registered here")
	wantPage(t, w.browser().get(w.authorizeURL(ask(id, stranger, bad...))), http.StatusBadRequest, "The return address does not match")
	twice := w.authorizeURL(ask(id, claude)) + "&client_id=" + id
	wantPage(t, w.browser().get(twice), http.StatusBadRequest, "This request cannot be used")
	wantError(t, w.call(request(http.MethodGet, w.authorizeURL(ask("gone", claude)), "", "Accept", "application/json")), 401, "invalid_client")
}

// authorizeErrors are requests whose answer belongs to the client.
var authorizeErrors = []struct {
	name    string
	changes []string
	code    string
}{
	{"C17_token", []string{"response_type", "token"}, "unsupported_response_type"},
	{"C17_hybrid", []string{"response_type", "code id_token"}, "unsupported_response_type"},
	{"no response_type", []string{"response_type", "-"}, "invalid_request"},
	{"B11_fragment", []string{"response_mode", "fragment"}, "invalid_request"},
	{"B11_form_post", []string{"response_mode", "form_post"}, "invalid_request"},
	{"B11_web_message", []string{"response_mode", "web_message"}, "invalid_request"},
	{"C01_absent", []string{"code_challenge", "-"}, "invalid_request"},
	{"C01_empty", []string{"code_challenge", ""}, "invalid_request"},
	{"C01_plain", []string{"code_challenge_method", "plain"}, "invalid_request"},
	{"C01_method_absent", []string{"code_challenge_method", "-"}, "invalid_request"},
	{"C01_method_case", []string{"code_challenge_method", "s256"}, "invalid_request"},
	{"C01_42", []string{"code_challenge", challenge[1:]}, "invalid_request"},
	{"C01_44", []string{"code_challenge", challenge + "A"}, "invalid_request"},
	{"C01_129", []string{"code_challenge", strings.Repeat("A", 129)}, "invalid_request"},
	{"C01_alphabet", []string{"code_challenge", challenge[1:] + "="}, "invalid_request"},
	{"request object", []string{"request", "eyJ"}, "invalid_request"},
	{"request_uri", []string{"request_uri", "https://evil.example/"}, "invalid_request"},
	{"prompt", []string{"prompt", "none"}, "interaction_required"},
	{"prompt list", []string{"prompt", "login none"}, "interaction_required"},
	{"L07_other", []string{"resource", "https://other.example/mcp"}, "invalid_target"},
	{"L07_below", []string{"resource", resource + "/x"}, "invalid_target"},
	{"L07_longer", []string{"resource", resource + "x"}, "invalid_target"},
	{"L07_query", []string{"resource", resource + "?q"}, "invalid_target"},
	{"L07_fragment", []string{"resource", resource + "#f"}, "invalid_target"},
}

func TestSec_D01_AuthorizeErrorsGoToTheClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *setup) { s.rules.RedirectHosts = nil })
	known, unknown := w.register(t, claude), w.register(t, stranger)
	for _, c := range authorizeErrors {
		t.Run(c.name, func(t *testing.T) {
			rec := w.browser().get(w.authorizeURL(ask(known, claude, c.changes...)))
			wantErrorRedirect(t, rec.Header().Get("Location"), claude, c.code, true)
			if rec.Code != http.StatusFound {
				t.Errorf("status %d", rec.Code)
			}
			// RFC 9700 §4.11: nobody is sent to a stranger before having done anything.
			rec = w.browser().get(w.authorizeURL(ask(unknown, stranger, c.changes...)))
			wantPage(t, rec, http.StatusBadRequest, "The app’s request cannot be completed")
			wantErrorRedirect(t, wayOn(t, rec), stranger, c.code, true)
		})
	}
	// After a POST the browser must not repeat it.
	rec := w.call(request(http.MethodPost, issuer+"/authorize", ask(known, claude, "response_type", "token").Encode(), "Content-Type", formType))
	wantRedirect(t, rec, http.StatusSeeOther, claude+"?error=unsupported_response_type")
}

func wantErrorRedirect(t *testing.T, target, redirect, code string, withState bool) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil || !strings.HasPrefix(target, redirect+"?") {
		t.Fatalf("answer goes to %q", target)
	}
	q := u.Query()
	if q.Get("error") != code || len(q["iss"]) != 1 || q.Get("iss") != issuer || q.Has("code") {
		t.Errorf("answer %v, want %s", q, code)
	}
	if withState != q.Has("state") || withState && (len(q["state"]) != 1 || q.Get("state") != "st&te=1") {
		t.Errorf("state %q", q["state"])
	}
}

// What RFC 6749 §3.1 calls omitted, and what has to be ignored, changes nothing.
func TestAuthorizeAccepts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	for name, q := range map[string]url.Values{
		"empty values": ask(id, claude, "response_mode", "", "request", "", "request_uri", "", "prompt", "", "scope", ""),
		"query mode":   ask(id, claude, "response_mode", "query"),
		"consent":      ask(id, claude, "prompt", "consent login"),
		"unknown":      ask(id, claude, "nonce", "n", "rd", "https://evil.example/", "claims", "{}", "audience", "x"),
		"B07 return":   ask(id, claude, "return_to", "https://evil.example/", "next", "//evil.example"),
		"no state":     ask(id, claude, "state", "-"),
		"C16 4 KB":     ask(id, claude, "state", strings.Repeat("s", 4<<10)),
		"L06":          ask(id, claude, "resource", "-"),
		"L06 empty":    ask(id, claude, "resource", ""),
		"L07 port":     ask(id, claude, "resource", "https://MCP.example.com:443/mcp"),
		"L07 slash":    ask(id, claude, "resource", resource+"/"),
		"same twice":   {"resource": {resource, resource + "/", ""}},
		"L05 unknown":  ask(id, claude, "scope", "foo offline_access"),
	} {
		if name == "same twice" {
			twice := ask(id, claude)
			twice["resource"] = q["resource"]
			q = twice
		}
		rec := w.browser().get(w.authorizeURL(q))
		if rec.Code != http.StatusFound || !strings.HasPrefix(rec.Header().Get("Location"), issuer+"/login?token=") {
			t.Errorf("%s: %d %s %s", name, rec.Code, rec.Header().Get("Location"), heading(rec))
		}
		rec = w.call(request(http.MethodPost, issuer+"/authorize", q.Encode(), "Content-Type", formType))
		wantRedirect(t, rec, http.StatusSeeOther, issuer+"/login?token=")
	}
}

func TestSec_L06_ResourceWithSeveral(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *setup) { s.resources = []string{resource, "https://mcp.example.com/two"} })
	id := w.register(t, claude)
	for _, c := range []struct {
		name string
		res  []string
		good bool
	}{
		{"absent", nil, false},
		{"empty", []string{""}, false},
		{"one", []string{"https://mcp.example.com/two"}, true},
		{"one and empty", []string{"https://mcp.example.com/two", ""}, true},
		{"both", []string{resource, "https://mcp.example.com/two"}, false},
	} {
		q := ask(id, claude)
		q["resource"] = c.res
		target := w.browser().get(w.authorizeURL(q)).Header().Get("Location")
		if c.good != strings.HasPrefix(target, issuer+"/login?") || !c.good && param(t, target, "error") != "invalid_target" {
			t.Errorf("%s: %s", c.name, target)
		}
	}
}

// A state that is too long to be kept cannot be sent back either, so the person is told.
func TestSec_C16_StateTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	rec := w.browser().get(w.authorizeURL(ask(id, claude, "state", strings.Repeat("s", 4<<10+1))))
	wantPage(t, rec, http.StatusBadRequest, "This request cannot be used")
}

// A repeated parameter is the client's mistake, and the client is told where its identity
// and its address are not in doubt. A repeated state has no value to send back.
func TestRepeatedParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	for name, more := range map[string]string{"scope": "&scope=a", "state": "&state=other", "code_challenge": "&code_challenge=x", "unknown": "&x=1&x=2"} {
		rec := w.browser().get(w.authorizeURL(ask(id, claude)) + more)
		if rec.Code != http.StatusFound {
			t.Errorf("%s: status %d", name, rec.Code)
			continue
		}
		wantErrorRedirect(t, rec.Header().Get("Location"), claude, "invalid_request", name != "state")
	}
	for name, more := range map[string]string{"client_id": "&client_id=" + id, "redirect_uri": "&redirect_uri=https://evil.example"} {
		rec := w.browser().get(w.authorizeURL(ask(id, claude)) + more)
		wantPage(t, rec, http.StatusBadRequest, "This request cannot be used")
		if rec.Header().Get("Location") != "" {
			t.Errorf("%s: redirected", name)
		}
	}
}

// A state whose sealed form would not survive a URL is refused in words.
func TestSec_C16_TooLongInAll(t *testing.T) {
	t.Parallel()
	long := "https://claude.example/" + strings.Repeat("p", 2000)
	w := newWorld(t, func(s *setup) { s.rules.RedirectHosts = []string{"claude.example"} })
	id := w.register(t, long)
	rec := w.browser().get(w.authorizeURL(ask(id, long, "state", strings.Repeat("<", 4<<10))))
	wantRedirect(t, rec, http.StatusFound, long+"?error=invalid_request")
	if e := param(t, rec.Header().Get("Location"), "error_description"); e != "The authorization request is too long." {
		t.Error(e)
	}
}

// M01: a million of them write nothing and leave nothing behind. It does not run beside
// other tests, because it looks at the heap.
func TestSec_M01_AuthorizeFlood(t *testing.T) {
	w := newWorld(t)
	static, dynamic := w.authorizeURL(ask(staticID, portal)), w.authorizeURL(ask(w.register(t, claude), claude))
	flood := func(n int) {
		var wg sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for range workers {
			wg.Go(func() {
				for i := range n / workers {
					target := static
					if i%20 == 0 {
						target = dynamic
					}
					if rec := w.call(request(http.MethodGet, target, "")); rec.Code != http.StatusFound {
						t.Errorf("%d %s", rec.Code, rec.Body)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	flood(1000)
	w.store.Set(faulty.None)
	was := heap()
	flood(floodSize)
	if w.store.Writes() != 0 {
		t.Errorf("%d writes", w.store.Writes())
	}
	if grown := int64(heap()) - int64(was); grown > 4<<20 {
		t.Errorf("%d requests left %d bytes behind", floodSize, grown)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The link that repeats a request is made of parsed parameters, and not for ever longer.
func TestAgainIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if u := w.again("authorize", url.Values{"state": {strings.Repeat("\"", 3000)}}); u != "" {
		t.Errorf("%d characters", len(u))
	}
	if u := w.again("authorize", url.Values{"a": {`"><script>`}}); u != issuer+"/authorize?a=%22%3E%3Cscript%3E" {
		t.Error(u)
	}
}

func TestClientThatMayNotUseCodes(t *testing.T) {
	t.Parallel()
	err := checkFlow(&clients.Client{GrantTypes: []string{"refresh_token"}}, url.Values{"response_type": {"code"}})
	if err == nil || !strings.HasPrefix(err.Error(), "unauthorized_client") {
		t.Error(err)
	}
}
