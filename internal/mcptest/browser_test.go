// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// asks returns a server whose pages show what the browser said, and its address on
// another site (localhost instead of 127.0.0.1).
func asks(t *testing.T, pages map[string]http.HandlerFunc) (here, there string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := pages[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		cookies := []string{}
		for _, c := range r.Cookies() {
			cookies = append(cookies, c.Name)
		}
		fmt.Fprintf(w, "%s site=%s origin=%s referer=%s cookies=%s form=%s", r.Method,
			r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin"), r.Header.Get("Referer"),
			strings.Join(cookies, ","), r.PostFormValue("a")+r.FormValue("decision"))
	}))
	t.Cleanup(s.Close)
	return s.URL, strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
}

func form(policy, action string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if policy != "" {
			w.Header().Set("Referrer-Policy", policy)
		}
		http.SetCookie(w, &http.Cookie{Name: "lax", Value: "1", Path: "/", SameSite: http.SameSiteLaxMode})
		http.SetCookie(w, &http.Cookie{Name: "strict", Value: "1", Path: "/", SameSite: http.SameSiteStrictMode})
		fmt.Fprintf(w, `<title>T</title><form method=post action=%q><input type=hidden name=a value=1>
			<button name=decision value=continue>Go</button><button name=decision value=cancel>No</button></form>
			<a href=/echo>other</a>`, action)
	}
}

func TestBrowserSubmitsAsBrowsersDo(t *testing.T) {
	t.Parallel()
	pages := map[string]http.HandlerFunc{}
	here, there := asks(t, pages)
	pages["/same"] = form("same-origin", "/echo")
	pages["/none"] = form("no-referrer", "/echo")
	pages["/away"] = form("", there+"/echo")
	pages["/hop"] = form("", "/303")
	pages["/303"] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, there+"/echo", http.StatusSeeOther) }
	pages["/307hop"] = form("", "/307")
	pages["/307"] = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, there+"/echo", http.StatusTemporaryRedirect)
	}
	for path, want := range map[string]string{
		"/same":   "POST site=same-origin origin=" + here + " referer=" + here + "/same cookies=lax,strict form=1continue",
		"/none":   "POST site=same-origin origin=null referer= cookies=lax,strict form=1continue",
		"/away":   "POST site=cross-site origin=" + here + " referer=" + here + "/ cookies= form=1continue",
		"/hop":    "GET site=cross-site origin= referer=" + here + "/ cookies=lax form=",
		"/307hop": "POST site=cross-site origin=null referer=" + here + "/ cookies= form=1continue",
	} {
		b := &Browser{}
		if _, err := b.Open(t.Context(), there+"/same"); err != nil { // cookies of the other site
			t.Fatal(err)
		}
		p, err := b.Open(t.Context(), here+path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.Submit(t.Context(), p, Continue, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Body != want {
			t.Errorf("%s:\n got %s\nwant %s", path, got.Body, want)
		}
	}
}

func TestBrowserOpensAndStops(t *testing.T) {
	t.Parallel()
	pages := map[string]http.HandlerFunc{"/form": form("", "/done")}
	here, _ := asks(t, pages)
	pages["/done"] = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:9/cb?code=c&state=s&iss=i", http.StatusSeeOther)
	}
	pages["/loop"] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) }

	b := &Browser{}
	if p, err := b.Open(t.Context(), here+"/x"); err != nil || p.Body != "GET site=none origin= referer= cookies= form=" {
		t.Errorf("open: %v %v", p, err)
	}
	if _, err := b.Open(t.Context(), here+"/loop"); err == nil {
		t.Error("followed a loop for ever")
	}
	request := here + "/form?redirect_uri=" + url.QueryEscape("http://127.0.0.1:9/cb")
	got, err := SignIn(t.Context(), b, request, Agree)
	if err != nil || got.Code != "c" || got.State != "s" || got.Iss != "i" {
		t.Errorf("sign-in: %+v %v", got, err)
	}
	p, err := b.Open(t.Context(), here+"/form")
	if err != nil || p.Title() != "T" || !p.Has(Cancel) || p.Has(Button{Name: "decision", Value: "x"}) {
		t.Errorf("page %+v, %v", p, err)
	}
	if p, err = b.Follow(t.Context(), p, "other"); err != nil || !strings.Contains(p.Body, "site=same-origin") {
		t.Errorf("link: %v %v", p, err)
	}
}

func TestBrowserDropsCookiesThatBrowsersDrop(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]http.Cookie{
		"__Host- without Secure": {Name: "__Host-a", Value: "1", Path: "/"},
		"__Host- with a path":    {Name: "__Host-a", Value: "1", Path: "/oauth", Secure: true},
		"None without Secure":    {Name: "a", Value: "1", SameSite: http.SameSiteNoneMode},
		"too long":               {Name: "a", Value: strings.Repeat("x", 4096)},
	} {
		here, _ := asks(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, _ *http.Request) { http.SetCookie(w, &c) }})
		if _, err := (&Browser{}).Open(t.Context(), here+"/"); err == nil {
			t.Errorf("%s: kept", name)
		}
	}
}
