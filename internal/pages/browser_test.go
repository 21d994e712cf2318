// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// browser starts a Chromium with a profile of its own.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := mcptest.Need(t, "chromium", "chromium", "chromium-browser", "google-chrome")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("close the browser: %v", err)
		}
		cancel()
	})
	return ctx
}

// recorder keeps what a server was asked for and what the browser complained about.
type recorder struct {
	mu       sync.Mutex
	requests []string
	problems []string
}

func (r *recorder) request(s string) { r.mu.Lock(); r.requests = append(r.requests, s); r.mu.Unlock() }

func (r *recorder) event(ev any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		// Each message page is an error answer, which Chromium reports as such.
		if !strings.Contains(ev.Entry.Text, "responded with a status of") {
			r.problems = append(r.problems, ev.Entry.Text)
		}
	case *runtime.EventConsoleAPICalled:
		r.problems = append(r.problems, "console")
	case *runtime.EventExceptionThrown:
		r.problems = append(r.problems, "exception")
	}
}

// listen opens the tab and records what it complains about.
func (r *recorder) listen(t *testing.T, ctx context.Context) {
	t.Helper()
	if err := chromedp.Do(ctx); err != nil { // opens the tab, so that Listen misses nothing
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, r.event); err != nil {
		t.Fatal(err)
	}
}

func (r *recorder) take() (requests, problems []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests, problems = r.requests, r.problems
	r.requests, r.problems = nil, nil
	return requests, problems
}

// serve starts a server with the pages under their names, and a tab whose complaints are
// recorded.
func serve(t *testing.T, pages []page) (context.Context, *recorder, string) {
	t.Helper()
	ctx := browser(t)
	p, rec := contoso(t), &recorder{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec.request(r.URL.Path)
		for _, s := range pages {
			if r.URL.Path == "/"+s.name {
				s.write(p, w)
			}
		}
	}))
	t.Cleanup(server.Close)
	rec.listen(t, ctx)
	return ctx, rec, server.URL
}

// TestChromium opens each page, at desktop and phone width, light and dark: one request,
// no complaint, nothing wider than the screen. With MCPOAUTH_SCREENSHOTS=<folder> it
// leaves pictures there.
func TestChromium(t *testing.T) {
	pages := samples()
	ctx, rec, url := serve(t, pages)
	for _, s := range pages {
		for _, look := range []struct {
			scheme string
			width  int64
		}{{"light", 1100}, {"dark", 1100}, {"light", 320}, {"dark", 390}} {
			opensQuietly(t, ctx, rec, url, s.name, look.scheme, look.width)
		}
	}
}

// TestSec_K01_HostilePagesInChromium opens pages full of each payload: a script, a request
// or a violated policy would be recorded, a dialog would hold the tab.
func TestSec_K01_HostilePagesInChromium(t *testing.T) {
	var pages []page
	for i, s := range append(payloads, strings.Repeat("w", 10_000), strings.Repeat("<", 10_000)) {
		pages = append(pages, consent(fmt.Sprintf("hostile_consent_%d", i), func(c *Consent) {
			c.ClientName, c.ClientHost, c.ClientID, c.RedirectURI, c.RedirectHost = s, s, s, s, s
			c.Resource, c.ResourceURL, c.Provider, c.Token, c.FormKey, c.Action = s, s, s, s, s, s
			c.Scopes = []ScopeLine{{s, s}, {Name: s}}
		}), message(fmt.Sprintf("hostile_message_%d", i), Message{
			Title: s, Text: s, Advice: s, ProviderRef: s, Next: &Link{Label: s, Note: s, Href: "/x"},
		}))
	}
	ctx, rec, url := serve(t, pages)
	for _, s := range pages {
		opensQuietly(t, ctx, rec, url, s.name, "light", 320)
	}
}

func opensQuietly(t *testing.T, ctx context.Context, rec *recorder, url, page, scheme string, width int64) {
	t.Helper()
	name := fmt.Sprintf("%s_%s_%d", page, scheme, width)
	overflow, err := visit(ctx, url+"/"+page, scheme, width, name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	requests, problems := rec.take()
	if !slices.Equal(requests, []string{"/" + page}) || len(problems) > 0 || overflow > 0 {
		t.Errorf("%s: requests %q, problems %q, %d pixels too wide", name, requests, problems, overflow)
	}
}

// visit opens url and returns by how many pixels it is wider than the screen.
func visit(ctx context.Context, url, scheme string, width int64, name string) (int, error) {
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		return 0, err
	}
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 844, DeviceScaleFactor: 1, Mobile: width < 500,
	}); err != nil {
		return 0, err
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		return 0, err
	}
	if dir := os.Getenv("MCPOAUTH_SCREENSHOTS"); dir != "" {
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600); err != nil {
			return 0, err
		}
	}
	return chromedp.Run(ctx, chromedp.Evaluate[int]("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
}
