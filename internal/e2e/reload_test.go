// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// steps are the places where a sign-in can be when the configuration is reloaded.
var steps = []string{"registered", "consent page", "provider", "callback", "code", "tokens"}

// A reload in the middle of a sign-in is not noticed by the person, whether it changes
// what mcp_oauth does or something else.
func TestReloadDuringLogin(t *testing.T) {
	t.Parallel()
	for name, words := range map[string]func(int) string{
		"other things changed": func(int) string { return "" },
		"policy changed": func(n int) string {
			return fmt.Sprintf("scope mcp {\ndescription \"Version %d\"\n}\nallow {\nrole MCP.User Other%d\n}\ntokens {\naccess %dm\n}\n", n, n, 30+n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			for i, step := range steps {
				n := 0
				got := loginWithPause(w, func(at string) {
					if at == step {
						n++
						w.reload(w.caddyfile(words(i)) + fmt.Sprintf("http://127.0.0.1:%d {\nrespond %d\n}\n", caddyrun.FreePort(t), i))
					}
				})
				if n != 1 {
					t.Fatalf("step %q came %d times", step, n)
				}
				w.works(w.resource, got.access)
			}
		})
	}
}

// loginWithPause signs in and calls pause at each of the steps.
func loginWithPause(w *world, pause func(string)) tokens {
	t, ctx := w.t, w.ctx
	t.Helper()
	c, b := w.raw(w.issuer), w.browser()
	pause("registered")
	a := c.begin(w.resource)
	page := open(t, ctx, b, a.url())
	if !page.Has(mcptest.Continue) {
		t.Fatalf("no consent page but %q", page.Text())
	}
	pause("consent page")
	page = press(t, ctx, b, page, mcptest.Continue)
	pause("provider")
	b.Stop = func(u *url.URL) bool { return u.Path == "/oauth/callback" }
	page = press(t, ctx, b, page, mcptest.Button{})
	pause("callback")
	b.Stop = func(u *url.URL) bool { return u.Host == "127.0.0.1:33418" }
	page = open(t, ctx, b, page.URL.String())
	if !page.Stopped || page.URL.Query().Get("code") == "" {
		t.Fatalf("no code but %s: %q\n%s", page.URL, page.Text(), w.caddy.Output())
	}
	pause("code")
	got := c.tokensOf(a.redeem(page.URL.Query().Get("code")))
	pause("tokens")
	return c.tokensOf(c.refresh(got.refresh))
}
