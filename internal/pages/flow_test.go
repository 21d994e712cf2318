// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// chain is the way of a sign-in: issuer, provider on another site, client on loopback. Cancel
// goes to a private-use scheme.
type chain struct {
	rec       recorder
	issuer    string
	submitted chan http.Header
}

func newChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{submitted: make(chan http.Header, 2)}
	start := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	client := start(func(w http.ResponseWriter, r *http.Request) {
		c.rec.request("client " + r.URL.Query().Get("code") + " referer=" + r.Referer())
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<link rel="icon" href="data:,"><title>done</title>`))
	})
	provider := start(func(w http.ResponseWriter, r *http.Request) {
		c.rec.request("provider " + r.Method)
		http.Redirect(w, r, client+"/cb?code=c", http.StatusSeeOther)
	})
	p := contoso(t)
	c.issuer = start(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			consent("", func(c *Consent) { c.Action = "/oauth/login/continue" }).write(p, w)
			return
		}
		c.rec.request("decision " + r.PostFormValue("decision") + " " + r.PostFormValue("token") + " " + r.PostFormValue("key"))
		c.submitted <- r.Header
		to := strings.Replace(provider, "127.0.0.1", "localhost", 1)
		if r.PostFormValue("decision") == "cancel" {
			to = "cursor://anysphere.cursor-mcp/cb?error=access_denied"
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	})
	return c
}

// TestSec_K03_TheWholeChainInChromium presses both buttons. A policy with form-action
// would stop either chain; and each submission can be told from a forged one.
func TestSec_K03_TheWholeChainInChromium(t *testing.T) {
	ctx, c := browser(t), newChain(t)
	c.rec.listen(t, ctx)

	if err := chromedp.Do(ctx, chromedp.Navigate(c.issuer)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS("button[value=continue]"))); err != nil {
		t.Fatal(err)
	}
	requests, problems := c.rec.take()
	want := []string{"decision continue AbC-dEf_123 XyZ-987", "provider GET", "client c referer="}
	if !slices.Equal(requests, want) || len(problems) > 0 {
		t.Errorf("requests %q, problems %q", requests, problems)
	}
	checkOwnForm(t, <-c.submitted, c.issuer)

	if err := chromedp.Do(ctx, chromedp.Navigate(c.issuer), chromedp.Click(chromedp.CSS("button[value=cancel]"))); err != nil {
		t.Fatal(err)
	}
	select {
	case h := <-c.submitted:
		checkOwnForm(t, h, c.issuer)
	case <-ctx.Done():
		t.Fatal("Cancel was not submitted")
	}
	// The answer to this evaluation comes after the complaint that form-action would cause.
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[int]("1")); err != nil {
		t.Fatal(err)
	}
	_, problems = c.rec.take()
	for _, problem := range problems {
		if strings.Contains(problem, "Content Security Policy") {
			t.Error(problem)
		}
	}
}

// checkOwnForm: what DESIGN's rule against forged submissions looks at.
func checkOwnForm(t *testing.T, h http.Header, origin string) {
	t.Helper()
	for k, want := range map[string]string{
		"Origin": origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
	} {
		if got := h.Get(k); got != want {
			t.Errorf("%s = %q, want %q", k, got, want)
		}
	}
}
