// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// Caddy starts while the provider is down. Who is signed in stays so; who wants to sign in
// is asked to try again, and can as soon as the provider is back.
func TestProviderDownAtStart(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ctx := w.ctx
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	w.caddy.Stop(t)
	w.emulator.stop()
	w.start(w.caddyfile(""))
	w.caddy.AwaitOutput(t, "the provider cannot be used yet")

	for _, document := range []string{metadataOf(w.resource), w.origin + "/.well-known/oauth-authorization-server/oauth", w.issuer + "/jwks"} {
		if a := w.get(document); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", document, a.status, a.body)
		}
	}
	w.works(w.resource, got.access)
	got = c.tokensOf(c.refresh(got.refresh))
	w.works(w.resource, got.access)

	b, a := w.browser(), c.begin(w.resource)
	page := open(t, ctx, b, a.url())
	page = press(t, ctx, b, page, mcptest.Continue)
	if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" {
		t.Fatalf("%d %q\n%s", page.Status, page.Text(), w.caddy.Output())
	}
	w.emulator.start(t)
	page, err := b.Follow(ctx, page, "Try again")
	if err != nil {
		t.Fatal(err)
	}
	page = press(t, ctx, b, page, mcptest.Continue)
	if page.Status != http.StatusOK || !strings.Contains(page.Title(), "account") {
		t.Fatalf("%d %q\n%s", page.Status, page.Text(), w.caddy.Output())
	}
	c.tokensOf(c.refresh(c.signIn(w.resource).refresh))
}

// One store file belongs to one process. The second says so, and serves what needs no
// store; as soon as the first has gone it takes over.
func TestStoreInUse(t *testing.T) {
	t.Parallel()
	first, second := newWorld(t), newWorld(t)
	path := filepath.Join(t.TempDir(), "shared.db")
	first.start(first.caddyfile("store file " + path + "\n"))
	got := first.raw(first.issuer).signIn(first.resource)
	second.start(second.caddyfile("store file " + path + "\n"))
	second.caddy.AwaitOutput(t, "store file "+path+" is in use by another process")

	for _, a := range []*answer{
		second.send(http.MethodPost, second.issuer+"/register", http.Header{"Content-Type": {"application/json"}}, registration),
		second.get(second.issuer + "/jwks"),
		second.initialize(second.resource, got.access),
	} {
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.member(t, "error") != "temporarily_unavailable" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := second.get(metadataOf(second.resource)); a.status != http.StatusOK {
		t.Errorf("document: %d %s", a.status, a.body)
	}
	second.refuses(second.resource, metadataOf(second.resource), "")

	first.caddy.Stop(t)
	eventually(t, "taking the store over", func() bool { return second.get(second.issuer+"/jwks").status == http.StatusOK })
	second.works(second.resource, second.raw(second.issuer).signIn(second.resource).access)
}
