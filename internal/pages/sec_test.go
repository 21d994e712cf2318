// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
)

// everyPage calls f with each page as it reaches the browser.
func everyPage(t *testing.T, f func(name string, w *httptest.ResponseRecorder)) {
	t.Helper()
	p := contoso(t)
	for _, s := range samples() {
		f(s.name, render(p, s))
	}
}

func TestSec_A05_NoPageCanBeFramed(t *testing.T) {
	t.Parallel()
	everyPage(t, func(name string, w *httptest.ResponseRecorder) {
		if !strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") || w.Header().Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s can be framed: %v", name, w.Header())
		}
	})
}

func TestSec_A08_DisplaySpoofing(t *testing.T) {
	t.Parallel()
	p := contoso(t)
	w := render(p, consent("", func(c *Consent) {
		c.ClientName = "Claude\u202e <b>verified</b>\u200b\u0000" + strings.Repeat("A", 10_000)
		c.ClientHost = "clаude.ai"                                    // the third letter is Cyrillic
		c.RedirectURI = "https://ｅvil。exаmple:8443/cb?host=claude.ai" // full-width letter and dot, Cyrillic a
	}))
	doc := parse(t, w.Body.String())
	name := text(find(doc, "class", "name"))
	if !strings.HasPrefix(name, "Claude <b>verified</b>AAA") || len([]rune(name)) != nameRunes {
		t.Errorf("name = %q", name)
	}
	if p := text(find(doc, "class", "name").Parent); !strings.HasPrefix(p, "An app that claims to be Claude") || !strings.Contains(p, "xn--clude-5ve.ai") {
		t.Errorf("introduction = %q", p)
	}
	if host := text(find(doc, "class", "host")); host != "evil.xn--exmple-4nf:8443" {
		t.Errorf("host = %q", host)
	}
	for _, r := range w.Body.String() {
		if r != '\n' && (unicode.Is(unicode.C, r) || r == 'а') {
			t.Fatalf("the page contains %U", r)
		}
	}
}

// TestSec_A08_HostIsLargest: nothing on the page is set larger than the redirect host,
// on any width.
func TestSec_A08_HostIsLargest(t *testing.T) {
	t.Parallel()
	rule := regexp.MustCompile(`([^{}]*)\{[^{}]*?(?:font-size:|font:)([0-9.]+)rem`)
	smallestHost, largestOther := 99.0, 0.0
	for _, m := range rule.FindAllStringSubmatch(string(contoso(t).style), -1) {
		size, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(m[1]) == ".host" {
			smallestHost = min(smallestHost, size)
		} else {
			largestOther = max(largestOther, size)
		}
	}
	if smallestHost == 99 || largestOther == 0 || smallestHost <= largestOther {
		t.Errorf("host %g rem, largest other text %g rem", smallestHost, largestOther)
	}
}

func TestSec_A09_LoopbackIsWarnedOf(t *testing.T) {
	t.Parallel()
	p := contoso(t)
	const program, app = "This is a program on this computer.", "This is an app on this device."
	for uri, want := range map[string]string{
		"http://localhost:1234/cb":              program,
		"http://127.0.0.1/cb":                   program,
		"http://127.9.9.9:80/":                  program,
		"http://[::1]:6274/cb":                  program,
		"http://LOCALHOST./cb":                  program,
		"https://a.localhost/cb":                program,
		"http://[::ffff:127.0.0.1]/":            program,
		"cursor://anysphere.cursor-mcp/cb":      app,
		"com.example.app:/cb":                   app,
		"https://claude.ai/cb":                  "",
		"https://localhost.example/cb":          "",
		"https://127.0.0.1.example/?localhost/": "",
	} {
		body := render(p, consent("", func(c *Consent) { c.RedirectURI = uri })).Body.String()
		for _, warning := range []string{program, app} {
			if got := strings.Contains(body, warning); got != (warning == want) {
				t.Errorf("%s: %q shown = %v", uri, warning, got)
			}
		}
	}
	for warning, change := range map[string]func(*Consent){
		program: func(c *Consent) { c.Loopback = true },
		app:     func(c *Consent) { c.PrivateScheme = true },
	} {
		if !strings.Contains(render(p, consent("", change)).Body.String(), warning) {
			t.Errorf("a caller's flag does not show %q", warning)
		}
	}
}

// TestSec_A14_NothingHappensByItself: a decision needs a click.
func TestSec_A14_NothingHappensByItself(t *testing.T) {
	t.Parallel()
	everyPage(t, func(name string, w *httptest.ResponseRecorder) {
		for n := range parse(t, w.Body.String()).Descendants() {
			if n.Data == "script" || n.Data == "noscript" || hasAttr(n, "autofocus") || hasAttr(n, "http-equiv") {
				t.Errorf("%s has %s %v", name, n.Data, n.Attr)
			}
		}
		if w.Header().Get("Refresh") != "" || w.Header().Get("Location") != "" {
			t.Errorf("%s leaves by itself", name)
		}
	})
}

func TestSec_B13_NothingLeaksByReferrerCacheOrAsset(t *testing.T) {
	t.Parallel()
	everyPage(t, func(name string, w *httptest.ResponseRecorder) {
		want := "no-referrer"
		if strings.HasPrefix(name, "consent") {
			want = "same-origin"
		}
		if got := w.Header().Get("Referrer-Policy"); got != want {
			t.Errorf("%s: Referrer-Policy %q, want %q", name, got, want)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		for n := range parse(t, w.Body.String()).Descendants() {
			checkNoSubresource(t, name, n)
		}
	})
}

func checkNoSubresource(t *testing.T, name string, n *html.Node) {
	t.Helper()
	if n.Type == html.TextNode && n.Parent.Data == "style" && (strings.Contains(n.Data, "url(") || strings.Contains(n.Data, "@import")) {
		t.Errorf("%s: the style sheet loads something", name)
	}
	for _, a := range n.Attr {
		ok := true
		switch a.Key {
		case "href":
			ok = n.Data == "a" || n.Data == "link" && a.Val == "data:,"
		case "src", "srcset", "poster", "data", "background", "ping", "style", "formaction", "manifest":
			ok = false
		}
		if !ok {
			t.Errorf("%s: <%s %s=%q>", name, n.Data, a.Key, a.Val)
		}
	}
}

func TestSec_K03_NoFormActionAndNoOpenerPolicy(t *testing.T) {
	t.Parallel()
	everyPage(t, func(name string, w *httptest.ResponseRecorder) {
		if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "form-action") || !strings.HasPrefix(csp, "default-src 'none'; ") {
			t.Errorf("%s: policy %q", name, csp)
		}
		if w.Header().Get("Cross-Origin-Opener-Policy") != "" || w.Header().Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: cross-origin policies %v", name, w.Header())
		}
	})
}

func TestSec_K07_NoSniffing(t *testing.T) {
	t.Parallel()
	everyPage(t, func(name string, w *httptest.ResponseRecorder) {
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %v", name, w.Header())
		}
		if got := w.Header().Get("Content-Length"); got != strconv.Itoa(w.Body.Len()) {
			t.Errorf("%s: Content-Length %s for %d bytes", name, got, w.Body.Len())
		}
	})
}

func hasAttr(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

// find returns the first element whose attribute key is val.
func find(doc *html.Node, key, val string) *html.Node {
	for n := range doc.Descendants() {
		for _, a := range n.Attr {
			if a.Key == key && a.Val == val {
				return n
			}
		}
	}
	return &html.Node{Parent: &html.Node{}}
}

// text is what a person reads inside n.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}
