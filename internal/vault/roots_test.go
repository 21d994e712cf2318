// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// A root is replaced after 90 days. What was made with it lives on: tokens and records as
// long as they may, and what a browser holds for minutes.
func TestRootRotation(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.rotate(t)
	first := n.activeRoot(t)
	n.clock.Advance(90*day - time.Second)
	n.rotate(t)
	if got := n.activeRoot(t).KID; got != first.KID {
		t.Fatalf("replaced too early by %s", got)
	}
	n.create(t, "a", sample{Text: "one"}, 300*day)
	refresh, err := tokens.Mint(rand.Reader, first, n.Site(), tokens.Refresh, tokens.ID{1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, tid, err := seal.SealLogin(rand.Reader, first, n.Site(), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	handle := first.StateHandle(n.Site(), tid)

	n.clock.Advance(time.Second)
	n.rotate(t)
	n.clock.Advance(time.Minute)
	if got := n.activeRoot(t); got.KID == first.KID {
		t.Fatal("not replaced")
	}
	if _, ok := seal.OpenStateHandle(n.keyring(t).BrowserRoots(), n.Site(), handle); !ok {
		t.Error("a state of the root before is refused")
	}
	for range 3 {
		root, ok, err := n.Root(t.Context(), refresh.KID)
		if err != nil || !ok || !refresh.Verify(root, n.Site()) {
			t.Errorf("after %v a refresh token is refused: %t, %v", n.clock.Now().Sub(start), ok, err)
		}
		if got, err := n.get(t, "a"); err != nil || got.Value.Text != "one" {
			t.Errorf("a record: %+v, %v", got, err)
		}
		n.clock.Advance(90 * day)
		n.rotate(t)
	}
	if _, ok := seal.OpenStateHandle(n.keyring(t).BrowserRoots(), n.Site(), handle); ok {
		t.Error("a state opens for ever")
	}
	// The first root goes when the last record that it may have sealed is past its life.
	n.clock.Advance(start.Add(90*day + vault.MaxLife - time.Second).Sub(n.clock.Now()))
	n.rotate(t)
	if _, ok := n.keyring(t).Root(first.KID); !ok {
		t.Error("the root is gone too early")
	}
	n.clock.Advance(time.Second)
	n.rotate(t)
	if _, ok := n.keyring(t).Root(first.KID); ok {
		t.Error("the root stays for ever")
	}
}
