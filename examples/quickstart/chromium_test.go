// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// A real browser keeps rules that a scripted one may have wrong: cookies, Origin, Fetch
// Metadata, the policy of the pages. It walks the quickstart once, as a person would.
func TestChromium(t *testing.T) {
	tab := chromium(t)
	w, err := start(loopback(t), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stop)

	answers := make(chan url.Values, 1)
	waiting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			answers <- r.URL.Query()
		}
		_, _ = w.Write([]byte("You may close this window."))
	}))
	t.Cleanup(waiting.Close)

	client, err := mcptest.NewClient(mcptest.ClientConfig{
		Endpoint:     w.resource,
		Registration: mcptest.Registration("Chromium test", waiting.URL+"/callback"),
		SignIn: func(ctx context.Context, a *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			if err := chromedp.Do(tab,
				chromedp.Navigate(a.URL),
				chromedp.Click(`button[name="decision"][value="continue"]`),
				chromedp.Click(`button[name="user"][value="anna@contoso.example"]`),
			); err != nil {
				return nil, err
			}
			select {
			case q := <-answers:
				return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	session, err := client.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	who, err := mcptest.Call[mcptest.Identity](ctx, session, "whoami", nil)
	if err != nil {
		t.Fatal(err)
	}
	if who.Name != "Anna Admin" || !strings.HasPrefix(who.Subject, w.emulator.Tenant()+".") {
		t.Errorf("the MCP server sees %+v", who)
	}
}

// chromium returns a tab of a browser with a profile of its own.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := mcptest.Need(t, "chromium", "chromium", "chromium-browser", "google-chrome")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	// Root, as which CI runs, cannot use Chromium's sandbox.
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("closing Chromium: %v", err)
		}
	})
	return ctx
}
