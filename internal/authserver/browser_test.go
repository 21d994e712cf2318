// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// call sends one request to the endpoint that its URL names.
func (w *world) call(r *http.Request) *httptest.ResponseRecorder {
	base, err := url.Parse(w.Policy.Issuer)
	if err != nil {
		panic(err)
	}
	rec := httptest.NewRecorder()
	w.Serve(rec, r, Call{Endpoint: strings.TrimPrefix(r.URL.Path, base.Path+"/"), Address: home, Ref: "ref0"})
	return rec
}

func request(method, target, body string, header ...string) *http.Request {
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	} else {
		r = httptest.NewRequest(method, target, strings.NewReader(body))
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

const formType = "application/x-www-form-urlencoded"

// browser keeps cookies, and sends the headers that browsers send.
type browser struct {
	w       *world
	cookies map[string]*http.Cookie
	ends    map[string]time.Time
}

func (w *world) browser() *browser {
	return &browser{w: w, cookies: map[string]*http.Cookie{}, ends: map[string]time.Time{}}
}

func (b *browser) send(r *http.Request) *httptest.ResponseRecorder {
	for name, c := range b.cookies {
		if b.w.clock.Now().Before(b.ends[name]) {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	rec := b.w.call(r)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c
		b.ends[c.Name] = b.w.clock.Now().Add(time.Duration(c.MaxAge) * time.Second)
	}
	return rec
}

// names are the names of the cookies that the browser holds.
func (b *browser) names() []string {
	var out []string
	for name := range b.cookies {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (b *browser) get(target string) *httptest.ResponseRecorder {
	return b.send(request(http.MethodGet, target, "", "Accept", "text/html,*/*;q=0.8"))
}

// submit posts the consent form as a browser does.
func (b *browser) submit(form url.Values) *httptest.ResponseRecorder {
	return b.send(request(http.MethodPost, b.w.Policy.Issuer+"/login/continue", form.Encode(),
		"Content-Type", formType, "Origin", b.w.origin, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"))
}

// ask is an authorization request, with changes: name, value, name, value; a value of "-"
// removes the parameter.
func ask(client, redirect string, changes ...string) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirect}, "state": {"st&te=1"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "resource": {resource}, "scope": {"mcp"},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "-" {
			q.Del(changes[i])
		}
	}
	return q
}

func (w *world) authorizeURL(q url.Values) string {
	return w.Policy.Issuer + "/authorize?" + q.Encode()
}

// open goes to the consent page and returns its URL and its form.
func (b *browser) open(t testing.TB, q url.Values) (page string, form url.Values) {
	t.Helper()
	rec := b.get(b.w.authorizeURL(q))
	page = wantRedirect(t, rec, http.StatusFound, b.w.Policy.Issuer+"/login?token=")
	return page, b.show(t, page)
}

// show loads a consent page and returns its form with the decision to continue.
func (b *browser) show(t testing.TB, page string) url.Values {
	t.Helper()
	rec := b.get(page)
	if rec.Code != http.StatusOK {
		t.Fatalf("consent page: %d %s", rec.Code, heading(rec))
	}
	return formOf(t, rec)
}

func formOf(t testing.TB, rec *httptest.ResponseRecorder) url.Values {
	t.Helper()
	form := url.Values{"decision": {"continue"}}
	for n := range parse(t, rec).Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" {
			form.Set(attr(n, "name"), attr(n, "value"))
		}
	}
	return form
}

// leave agrees, and returns the callback URL to which the provider will answer.
func (b *browser) leave(t testing.TB, form url.Values) (callback string) {
	t.Helper()
	target := wantRedirect(t, b.submit(form), http.StatusSeeOther, idp+"?")
	return b.w.Policy.Issuer + "/callback?" + url.Values{"state": {param(t, target, "state")}, "code": {"idp-code"}}.Encode()
}

// signIn walks the whole way and returns the code.
func (b *browser) signIn(t testing.TB, q url.Values) string {
	t.Helper()
	_, form := b.open(t, q)
	target := wantRedirect(t, b.get(b.leave(t, form)), http.StatusSeeOther, q.Get("redirect_uri"))
	return param(t, target, "code")
}

// token posts to the token endpoint; fields are name, value, name, value.
func (w *world) tokenCall(fields []string, header ...string) *httptest.ResponseRecorder {
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return w.call(request(http.MethodPost, w.Policy.Issuer+"/token", form.Encode(), append([]string{"Content-Type", formType}, header...)...))
}

// exchange is a good code request.
func exchange(client, code string, more ...string) []string {
	return append([]string{"grant_type", "authorization_code", "client_id", client, "code", code, "code_verifier", verifier}, more...)
}

func wantRedirect(t testing.TB, rec *httptest.ResponseRecorder, status int, prefix string) string {
	t.Helper()
	target := rec.Header().Get("Location")
	if rec.Code != status || !strings.HasPrefix(target, prefix) {
		t.Fatalf("%d to %q (%s), want %d to %s", rec.Code, target, heading(rec), status, prefix)
	}
	return target
}

func param(t testing.TB, target, name string) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get(name)
}

func parse(t testing.TB, rec *httptest.ResponseRecorder) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(rec.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// heading is the heading of a page, or the body of anything else.
func heading(rec *httptest.ResponseRecorder) string {
	body := rec.Body.String()
	_, rest, found := strings.Cut(body, "<h1>")
	if !found {
		return body
	}
	h, _, _ := strings.Cut(rest, "</h1>")
	return html.UnescapeString(h)
}

// wayOn is the link of a message page, or "".
func wayOn(t testing.TB, rec *httptest.ResponseRecorder) string {
	t.Helper()
	for n := range parse(t, rec).Descendants() {
		if n.Type == html.ElementNode && n.Data == "a" && attr(n, "class") == "go" {
			return attr(n, "href")
		}
	}
	return ""
}

// wantPage checks status, heading and the reference of a message page.
func wantPage(t testing.TB, rec *httptest.ResponseRecorder, status int, h string) {
	t.Helper()
	if rec.Code != status || heading(rec) != h || rec.Header().Get("Location") != "" {
		t.Errorf("%d %q to %q, want page %d %q", rec.Code, heading(rec), rec.Header().Get("Location"), status, h)
	}
	if !strings.Contains(rec.Body.String(), "ref0") || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") {
		t.Errorf("page without reference or of type %q", rec.Header().Get("Content-Type"))
	}
}
