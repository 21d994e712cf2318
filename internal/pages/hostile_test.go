// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// payloads try to leave the place where text belongs: an element, an attribute, a style
// sheet, a comment, a URL, an encoding.
var payloads = []string{
	`<script>alert(1)</script>`,
	`</title><script>alert(1)</script>`,
	`</style><img src=x onerror=alert(1)>`,
	`"><svg onload=alert(1)>`,
	`' autofocus onfocus=alert(1) x='`,
	`" formaction="https://evil.example/" x="`,
	"` onmouseover=alert(1) `",
	`x" style="background:url(https://evil.example/)`,
	`<!--><img src=x onerror=alert(1)>-->`,
	`]]><script>alert(1)</script>`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`,
	`&#x3c;script>alert(1)&#x3c;/script>`,
	`+ADw-script+AD4-alert(1)+ADw-/script+AD4-`,
	"<scr\x00ipt>alert(1)</scr\x00ipt>",
	"\xc0\xbcscript\xc0\xbealert(1)",
	`{{.Style}}{{template "top" .}}`,
	`<meta http-equiv=refresh content="0;url=https://evil.example/">`,
	`<base href=https://evil.example/>`,
	`<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>`,
	`<textarea><button name=decision value=continue>`,
	`javascript:alert(1)`,
	`JaVaScRiPt:alert(1)`,
	"java\tscript:alert(1)",
	` javascript:alert(1)`,
	`data:text/html,<script>alert(1)</script>`,
	`vbscript:msgbox(1)`,
	`blob:https://evil.example/1`,
	`//evil.example/`,
	`https://evil.example/"><script>alert(1)</script>`,
	`https://good.example@evil.example/`,
	`https://evil.example/'onclick='alert(1)`,
	`cursor://x/"onclick="alert(1)`,
}

// TestSec_K01_HostileTextIsInert puts each payload into each text of each page. The page
// must keep its elements, its attributes and its ways on.
func TestSec_K01_HostileTextIsInert(t *testing.T) {
	t.Parallel()
	p := contoso(t)
	known := map[string]bool{}
	for _, s := range samples() {
		for _, k := range shape(t, render(p, s)) {
			known[k] = true
		}
	}
	check := func(field, payload string, got, benign *httptest.ResponseRecorder) {
		for _, k := range shape(t, got) {
			if !known[k] {
				t.Errorf("%s = %q adds %s", field, payload, k)
			}
		}
		if g, b := controls(t, got), controls(t, benign); !slices.Equal(g, b) {
			t.Errorf("%s = %q: controls %q, want %q", field, payload, g, b)
		}
	}
	for _, payload := range payloads {
		hostileFields(t, payload, func(field string, got, benign *httptest.ResponseRecorder) {
			check(field, payload, got, benign)
		})
	}
}

// hostileFields renders both pages once per text field with payload in it.
func hostileFields(t *testing.T, payload string, f func(field string, got, benign *httptest.ResponseRecorder)) {
	t.Helper()
	p := contoso(t)
	full := Message{Title: "x", Text: "x", Advice: "x", Ref: "x", ProviderRef: "x", Contact: true}
	full.Next = &Link{Label: "x", Note: "x", Href: "https://a.example/"}
	for _, name := range stringFields(Consent{}) {
		set := func(v string) *httptest.ResponseRecorder {
			return render(p, consent("", func(c *Consent) { reflect.ValueOf(c).Elem().FieldByName(name).SetString(v) }))
		}
		f("Consent."+name, set(payload), set("x"))
	}
	for _, name := range stringFields(Message{}) {
		set := func(v string) *httptest.ResponseRecorder {
			m := full
			reflect.ValueOf(&m).Elem().FieldByName(name).SetString(v)
			return write(p, m)
		}
		f("Message."+name, set(payload), set("x"))
	}
	for _, name := range []string{"Label", "Note"} {
		set := func(v string) *httptest.ResponseRecorder {
			m, l := full, *full.Next
			reflect.ValueOf(&l).Elem().FieldByName(name).SetString(v)
			m.Next = &l
			return write(p, m)
		}
		f("Link."+name, set(payload), set("x"))
	}
	scopes := func(v string) *httptest.ResponseRecorder {
		return render(p, consent("", func(c *Consent) { c.Scopes = []ScopeLine{{v, v}, {Name: v}} }))
	}
	f("Scopes", scopes(payload), scopes("x"))
	if q, err := New(Config{Title: payload, Support: payload}); err == nil {
		contacts := newPages(t, Config{Title: "x", Support: "x"})
		if strings.HasPrefix(payload, "https://evil.example/'") {
			contacts = newPages(t, Config{Support: "https://a.example/"}) // a link, as configured
		}
		f("Config", write(q, full), write(contacts, full))
	}
}

func stringFields(v any) []string {
	var out []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
		if f.Type.Kind() == reflect.String {
			out = append(out, f.Name)
		}
	}
	return out
}

func write(p *Pages, m Message) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.Message(w, m)
	return w
}

// shape lists each kind of element with the names of its attributes.
func shape(t testing.TB, w *httptest.ResponseRecorder) []string {
	t.Helper()
	var out []string
	for n := range parse(t, w.Body.String()).Descendants() {
		if n.Type == html.TextNode || n.Type == html.DoctypeNode {
			continue
		}
		k := "<" + n.Data
		for _, a := range n.Attr {
			k += " " + a.Key
		}
		out = append(out, k)
	}
	return out
}

// controls lists what a person can act upon: kind, name, value of buttons, and for links
// and forms whether the target is an address of the web.
func controls(t testing.TB, w *httptest.ResponseRecorder) []string {
	t.Helper()
	var out []string
	for n := range parse(t, w.Body.String()).Descendants() {
		switch n.Data {
		case "a", "form", "button", "input", "style", "meta", "link", "svg":
		default:
			continue
		}
		k := n.Data
		for _, a := range n.Attr {
			switch a.Key {
			case "name":
				k += " " + a.Val
			case "href", "action":
				k += " " + kindOfURL(a.Val)
			}
		}
		out = append(out, k)
	}
	return out
}

func kindOfURL(s string) string {
	scheme, _, ok := strings.Cut(s, ":")
	if !ok || scheme == "https" {
		return "web"
	}
	return scheme
}

// TestLinks: which targets become a button.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://a.example/cb?error=access_denied&state=a%22b", "http://127.0.0.1:3/cb?x=1", "/oauth/login?token=a",
		"cursor://anysphere.cursor-mcp/cb?error=x", "com.example.app:/cb?error=x", "vscode://x/y",
	} {
		if _, ok := href(good); !ok {
			t.Errorf("%q is refused", good)
		}
		w := write(contoso(t), Message{Next: &Link{Label: "x", Href: good}})
		if got := find(parse(t, w.Body.String()), "class", "go"); !slices.Contains(got.Attr, html.Attribute{Key: "href", Val: good}) {
			t.Errorf("%q became %v", good, got.Attr)
		}
	}
	bad := append(slices.Clone(payloads[20:28]), "", "x", "?a", "#a", "https:", "https:///x", "https:x", "http://u:p@a.example/",
		"https://a.example/ b", "https://a.example/\n", "https://a.example/ä", "https://a.example\\@b", "https://a.example/<", "%zz", "JAVASCRIPT:x", "file:///x")
	for _, b := range bad {
		if _, ok := href(b); ok {
			t.Errorf("%q is a link", b)
		}
	}
}
