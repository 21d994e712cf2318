// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// The buttons and the link that a person presses.
var (
	continueButton = chromedp.CSS("button[value=continue]")
	userButton     = chromedp.CSS("button[name=user]")
	nextLink       = chromedp.CSS("main a")
)

// chromium is a real browser with a profile of its own.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := mcptest.Need(t, "chromium", "chromium", "chromium-browser", "google-chrome")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU)
	for _, flag := range []string{"disable-background-networking", "disable-component-update", "disable-sync"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("closing the browser: %v", err)
		}
		cancel()
	})
	return ctx
}

// listener is the program on the person's machine that waits for the answer.
func listener(t *testing.T) (redirectURI string, answers chan url.Values) {
	t.Helper()
	answers = make(chan url.Values, 4)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Referer() != "" {
			t.Errorf("the client is told the referrer %s", r.Referer())
		}
		answers <- r.URL.Query()
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<link rel="icon" href="data:,"><title>done</title><p id="done">You can close this page.</p>`)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/callback", answers
}

// A real browser goes all the way. A double click and the back button are harmless, and
// whoever comes back afterwards is told what to do.
func TestChromium(t *testing.T) {
	ctx := chromium(t)
	w := startWorld(t)
	redirect, answers := listener(t)
	c := w.raw(w.issuer)
	c.id, c.redirect = w.register(w.issuer, strings.Replace(registration, mcptest.RedirectURI, redirect, 1)), redirect
	violations := watch(t, ctx)

	a := c.begin(w.resource)
	step(t, ctx, "double click", chromedp.Navigate(a.url()), chromedp.DoubleClick(continueButton), chromedp.WaitVisible(userButton))
	step(t, ctx, "back and again", chromedp.NavigateBack(), chromedp.Click(continueButton), chromedp.WaitVisible(userButton))
	step(t, ctx, "sign in", chromedp.Click(userButton), chromedp.WaitVisible(chromedp.CSS("#done")))
	checkOneLogin(t, w)
	w.works(w.resource, c.tokensOf(a.redeem(a.answer(t, answers))).access)

	step(t, ctx, "back to the form", chromedp.NavigateBack(), chromedp.NavigateBack(), chromedp.Click(continueButton), chromedp.WaitVisible(nextLink))
	if text, err := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS("h1"))); err != nil || !strings.Contains(text, "already used") {
		t.Errorf("the used form leads to %q, %v", text, err)
	}
	step(t, ctx, "start again", chromedp.Click(nextLink), chromedp.Click(continueButton), chromedp.Click(userButton),
		chromedp.WaitVisible(chromedp.CSS("#done")))
	w.works(w.resource, c.tokensOf(a.redeem(a.answer(t, answers))).access)
	if v := violations(); len(v) > 0 {
		t.Errorf("the browser complains: %q", v)
	}
}

// answer is the code that came to the client.
func (a *attempt) answer(t *testing.T, answers chan url.Values) string {
	t.Helper()
	got := receive(t, answers, "the answer to the client")
	if got.Get("state") != a.state || got.Get("iss") != a.client.issuer || got.Get("code") == "" {
		t.Errorf("the client got %v", got)
	}
	return got.Get("code")
}

// checkOneLogin makes sure that however often the button was pressed, it was one login.
func checkOneLogin(t *testing.T, w *world) {
	t.Helper()
	var states []string
	for _, r := range w.emulator.Requests(entratest.Authorize) {
		states = append(states, r.Query.Get("state"))
	}
	if len(states) < 2 || len(slices.Compact(states)) != 1 {
		t.Errorf("the provider saw the states %q", states)
	}
}

func step(t *testing.T, ctx context.Context, what string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		where, _ := chromedp.Run(context.WithoutCancel(ctx), chromedp.Location())
		t.Fatalf("%s: %v at %s", what, err, where)
	}
}

// watch collects what the browser complains about, but for the status of answers.
func watch(t *testing.T, ctx context.Context) func() []string {
	t.Helper()
	found := make(chan string, 100)
	if err := chromedp.Do(ctx); err != nil { // opens the tab, so that nothing is missed
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*log.EventEntryAdded); ok && !strings.Contains(e.Entry.Text, "responded with a status of") {
			found <- e.Entry.Text
		}
	}); err != nil {
		t.Fatal(err)
	}
	return func() (all []string) {
		for len(found) > 0 {
			all = append(all, <-found)
		}
		return all
	}
}
