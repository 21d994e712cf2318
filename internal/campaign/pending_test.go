// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// formKey finds the form key on the consent page.
var formKey = regexp.MustCompile(`name="key" value="([^"]+)"`)

// pending begins a sign-in and returns what it left behind: the login token, the form
// key, the cookies, and the state handle that the provider was given.
func (b *badInput) pending(client string) map[string]string {
	b.w.t.Helper()
	var cookies []string
	state := ""
	browser := &mcptest.Browser{Transport: b.w.transport, Seen: func(_ *http.Request, resp *http.Response) {
		for _, c := range resp.Cookies() {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
		if to, err := resp.Location(); err == nil && to.Query().Has("nonce") {
			state = to.Query().Get("state")
		}
	}}
	q := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {mcptest.RedirectURI}, "resource": {b.s.resource()},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	page, err := browser.Open(b.w.ctx, b.s.issuer+"/authorize?"+q.Encode())
	if err != nil {
		b.w.t.Fatal(err)
	}
	login := page.URL.Query().Get("token")
	key := formKey.FindStringSubmatch(page.Body)
	if login == "" || key == nil {
		b.w.t.Fatalf("no consent page: %s", page.Body)
	}
	browser.Stop = func(u *url.URL) bool { return !strings.HasPrefix(u.String(), b.s.origin) }
	if _, err := browser.Submit(b.w.ctx, page, mcptest.Continue, nil); err != nil || state == "" {
		b.w.t.Fatalf("no state handle: %v", err)
	}
	return map[string]string{"login": login, "key": key[1], "cookie": strings.Join(cookies, "; "), "state": state}
}
