// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// page is one page in one state; every constructor of messages.go is in samples.
type page struct {
	name  string
	write func(*Pages, http.ResponseWriter)
}

func message(name string, m Message) page {
	return page{name, func(p *Pages, w http.ResponseWriter) { p.Message(w, m.WithRef("7KQ2M4XD")) }}
}

func consent(name string, change func(*Consent)) page {
	c := Consent{
		Action:      "https://mcp.example.com/oauth/login/continue",
		Token:       "AbC-dEf_123",
		FormKey:     "XyZ-987",
		ClientName:  "Claude",
		ClientHost:  "claude.ai",
		ClientID:    "dcr_4rW0cXkN3vQ6mY1bTzH8sLpEaGfJ2iUoD5xVnKqRwSg",
		RedirectURI: "https://claude.ai/api/mcp/auth_callback",
		Resource:    "Contoso Tools",
		ResourceURL: "https://mcp.example.com/mcp",
		Scopes:      []ScopeLine{{Name: "mcp"}, {Name: "tickets.write", Description: "Create and close support tickets"}, {Name: "offline_access"}},
		Provider:    "Microsoft",
	}
	change(&c)
	return page{name, func(p *Pages, w http.ResponseWriter) { p.Consent(w, c) }}
}

const start = "https://mcp.example.com/oauth/login?token=AbC-dEf_123"

func samples() []page {
	const denied = "https://app.example.net/cb?error=access_denied&iss=https%3A%2F%2Fmcp.example.com%2Foauth&state=s"
	return []page{
		consent("consent", func(*Consent) {}),
		consent("consent_loopback", func(c *Consent) {
			c.ClientName, c.ClientHost, c.RedirectURI = "MCP Inspector", "", "http://localhost:6274/oauth/callback"
		}),
		consent("consent_app", func(c *Consent) {
			c.ClientName, c.ClientHost, c.RedirectURI = "Cursor", "cursor.com", "cursor://anysphere.cursor-mcp/oauth/callback"
		}),
		consent("consent_vouched", func(c *Consent) {
			c.ClientName, c.ClientHost, c.Vouched, c.RedirectURI = "Build portal", "", true, "https://portal.contoso.com/cb"
		}),
		consent("consent_least", func(c *Consent) {
			*c = Consent{Action: c.Action, Token: c.Token, FormKey: c.FormKey, RedirectURI: "https://a.example/cb", ResourceURL: c.ResourceURL}
		}),
		message("bad_client", BadClient()),
		message("bad_redirect", BadRedirect()),
		message("bad_request", BadRequest("The parameter code_challenge is missing.")),
		message("return_to_client", ReturnToClient(denied, "The app asked for a resource that is not on this server.")),
		message("expired", Expired(start)),
		message("expired_no_link", Expired("")),
		message("already_used", AlreadyUsed(start)),
		message("other_browser", OtherBrowser(start)),
		message("form_refused", FormRefused(start)),
		message("provider_failed", ProviderFailed(start, "0f8fad5b-d9cb-469f-a165-70867728950e")),
		message("not_allowed", NotAllowed("adele@contoso.com", "Only members of the support team may use this server.", denied)),
		message("unavailable", Unavailable(start, 1500*time.Millisecond)),
		message("too_many", TooMany(time.Minute)),
		message("method_not_allowed", MethodNotAllowed("GET, HEAD")),
	}
}

func newPages(t testing.TB, c Config) *Pages {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatalf("New(%+v): %v", c, err)
	}
	return p
}

func contoso(t testing.TB) *Pages {
	return newPages(t, Config{Title: "Contoso", Support: "it-help@contoso.com"})
}

func render(p *Pages, s page) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.write(p, w)
	return w
}

// TestGolden compares status, headers and HTML of each page with testdata. The style
// sheet and its hash, the same everywhere, are replaced by a word.
func TestGolden(t *testing.T) {
	t.Parallel()
	p := contoso(t)
	for _, s := range samples() {
		w := render(p, s)
		compare(t, s.name+".headers", head(w))
		compare(t, s.name+".html", strings.Replace(w.Body.String(), string(p.style), "STYLE", 1))
	}
}

func head(w *httptest.ResponseRecorder) string {
	var lines []string
	for k, v := range w.Header() {
		if k != "Content-Length" { // follows the body, which has its own golden
			lines = append(lines, k+": "+strings.Join(v, " | "))
		}
	}
	slices.Sort(lines)
	out := fmt.Sprintf("%d\n%s\n", w.Code, strings.Join(lines, "\n"))
	i := strings.Index(out, "'sha256-")
	j := i + strings.Index(out[i+1:], "'") + 2
	return out[:i] + "'STYLE'" + out[j:]
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update to accept):\n%s", name, got)
	}
}

// TestStyleHash parses the page as a browser does: the text of the one style element must
// be what the policy names.
func TestStyleHash(t *testing.T) {
	t.Parallel()
	p := contoso(t)
	for _, s := range samples() {
		w := render(p, s)
		var styles []string
		for n := range parse(t, w.Body.String()).Descendants() {
			if n.Data == "style" {
				styles = append(styles, n.FirstChild.Data)
			}
		}
		if len(styles) != 1 {
			t.Fatalf("%s: %d style elements", s.name, len(styles))
		}
		sum := sha256.Sum256([]byte(styles[0]))
		want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, want) {
			t.Errorf("%s: policy %q lacks %q", s.name, csp, want)
		}
	}
}

func TestWeight(t *testing.T) {
	t.Parallel()
	p := contoso(t)
	for _, s := range samples() {
		if n := render(p, s).Body.Len(); n > 12<<10 {
			t.Errorf("%s weighs %d bytes", s.name, n)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"long title":      {Title: strings.Repeat("a", 81)},
		"bidi title":      {Title: "Contoso\u202e"},
		"newline":         {Title: "Con\ntoso"},
		"invalid UTF-8":   {Title: "Con\xfftoso"},
		"zero width":      {Support: "help\u200b@contoso.com"},
		"long support":    {Support: strings.Repeat("a", 401)},
		"control support": {Support: "help\x00"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestCallerHeaders: what the caller has set, such as a cookie, stays.
func TestCallerHeaders(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Add("Set-Cookie", "a=b")
	contoso(t).Message(w, Expired(""))
	if got := w.Header().Values("Set-Cookie"); !slices.Equal(got, []string{"a=b"}) {
		t.Errorf("Set-Cookie = %q", got)
	}
}

func parse(t testing.TB, s string) *html.Node {
	t.Helper()
	n, err := html.Parse(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
