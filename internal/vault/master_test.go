// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
)

func TestMasterKeyChange(t *testing.T) {
	t.Parallel()
	old, fresh := vaulttest.Master(t, 0), vaulttest.Master(t, 100)
	n := newNode(t, old)
	n.create(t, "a", sample{Text: "one"}, 100*time.Hour)
	before := n.activeRoot(t)

	both := sharing(t, n, old, fresh)
	both.rotate(t)
	if n.master(t) != old.KID() || both.activeRoot(t).KID != before.KID {
		t.Fatal("[old, new] changed something")
	}

	turned := sharing(t, n, fresh, old)
	turned.rotate(t)
	if n.master(t) != fresh.KID() {
		t.Fatal("[new, old] did not reseal")
	}
	if got := turned.events.Modes(event.KeyringRotated); !slices.Equal(got, []string{"master_key"}) {
		t.Errorf("events %v", got)
	}
	n.clock.Advance(time.Minute)
	active := turned.activeRoot(t)
	if previous, ok := turned.keyring(t).PreviousRoot(); !ok || previous.KID != before.KID || active.KID == before.KID {
		t.Errorf("active root %s, previous %s", active.KID, previous.KID)
	}

	alone := sharing(t, n, fresh)
	alone.rotate(t)
	got, err := alone.get(t, "a")
	if err != nil || got.Value.Text != "one" {
		t.Fatalf("a record from before: %+v, %v", got, err)
	}
	if err := vault.Update(t.Context(), alone.Vault, sampleKind, got); err != nil {
		t.Fatal(err)
	}
	if _, kid, _ := seal.Header(n.stored(t).Value); kid != active.KID {
		t.Errorf("an update sealed under %s, not under the active root", kid)
	}
	if _, err := sharing(t, n, old).Keyring(t.Context()); !errors.Is(err, vault.ErrMaster) {
		t.Errorf("the old key alone: %v", err)
	}
}

// A node that has not seen the new order meets what another one made with the new root.
func TestNewRootReachesOtherNodes(t *testing.T) {
	t.Parallel()
	old, fresh := vaulttest.Master(t, 0), vaulttest.Master(t, 100)
	slow := newNode(t, old, fresh)
	slow.create(t, "a", sample{Text: "one"}, 100*time.Hour)
	quick := sharing(t, slow, fresh, old)
	quick.rotate(t)

	// Published, not yet used: nobody meets a root that it may not read yet.
	before := slow.activeRoot(t)
	if quick.activeRoot(t).KID != before.KID {
		t.Error("the new root is used at once")
	}
	if len(quick.keyring(t).BrowserRoots()) != 2 {
		t.Error("the new root is not accepted")
	}
	slow.clock.Advance(55 * time.Second)
	if _, ok, err := slow.Root(t.Context(), seal.KID{0xff}); ok || err != nil {
		t.Errorf("invented kid: %t, %v", ok, err)
	}
	slow.clock.Advance(5 * time.Second)
	active := quick.activeRoot(t)
	if active.KID == before.KID {
		t.Fatal("the new root is not used")
	}
	if _, ok, err := slow.Root(t.Context(), active.KID); !ok || err != nil {
		t.Errorf("the slow node says no to the new root: %t, %v", ok, err)
	}
}

func TestLoginAndStateAcceptThePreviousRoot(t *testing.T) {
	t.Parallel()
	old, fresh := vaulttest.Master(t, 0), vaulttest.Master(t, 100)
	n := newNode(t, old)
	root := n.activeRoot(t)
	token, tid, err := seal.SealLogin(rand.Reader, root, n.Site(), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	handle := root.StateHandle(n.Site(), tid)
	accepted := func(n node) (bool, bool) {
		_, _, err := seal.OpenLogin(n.keyring(t).Root, n.Site(), token)
		_, ok := seal.OpenStateHandle(n.keyring(t).BrowserRoots(), n.Site(), handle)
		return err == nil, ok
	}
	turned := sharing(t, n, fresh, old)
	turned.rotate(t)
	n.clock.Advance(time.Hour)
	if login, state := accepted(turned); !login || !state {
		t.Errorf("after one change: login %t, state %t", login, state)
	}
	n.clock.Advance(day)
	back := sharing(t, n, old, fresh)
	back.rotate(t)
	n.clock.Advance(time.Hour)
	if login, state := accepted(back); login || state {
		t.Errorf("after two changes: login %t, state %t", login, state)
	}
	if got, ok := back.keyring(t).Root(root.KID); !ok || got.State != seal.RootRetired {
		t.Errorf("the first root is %v", got)
	}
}

// While a new order of keys is rolled out, the nodes do not fight over the keyring.
func TestNodesInDifferentOrder(t *testing.T) {
	t.Parallel()
	old, fresh := vaulttest.Master(t, 0), vaulttest.Master(t, 100)
	before := newNode(t, old, fresh)
	before.rotate(t)
	after := sharing(t, before, fresh, old)
	for range 10 {
		after.rotate(t)
		before.rotate(t)
		before.clock.Advance(time.Hour)
	}
	if before.master(t) != fresh.KID() {
		t.Error("the node with the old order took the keyring back")
	}
	if got := len(after.keyring(t).Roots); got != 2 {
		t.Errorf("%d roots", got)
	}
}

func TestReorderedMasters(t *testing.T) {
	t.Parallel()
	old, fresh := vaulttest.Master(t, 0), vaulttest.Master(t, 100)
	n := newNode(t, old, fresh)
	n.rotate(t)
	n.SetMasters([]seal.Master{fresh, old})
	n.rotate(t)
	if n.master(t) != fresh.KID() {
		t.Error("the new order has no effect")
	}
}

func TestSecondMasterKeyWarns(t *testing.T) {
	t.Parallel()
	old, fresh := vaulttest.Master(t, 0), vaulttest.Master(t, 100)
	n := newNode(t, old)
	n.keyring(t)
	var log bytes.Buffer
	config := vaulttest.Config(n.store, n.clock.Now, fresh, old)
	config.Log = slog.New(slog.NewTextHandler(&log, nil))
	v := vault.New(config)
	if _, err := v.Keyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out := log.String(); !strings.Contains(out, "level=WARN") || !strings.Contains(out, old.KID().String()) {
		t.Errorf("log: %s", out)
	}
}

func TestOldRootsGoLast(t *testing.T) {
	t.Parallel()
	old, fresh := vaulttest.Master(t, 0), vaulttest.Master(t, 100)
	n := newNode(t, old)
	first := n.activeRoot(t)
	turned := sharing(t, n, fresh, old)
	turned.rotate(t)
	for range 399 {
		n.clock.Advance(day)
		turned.rotate(t)
	}
	if _, ok := turned.keyring(t).Root(first.KID); !ok {
		t.Fatal("a root went while its records may live")
	}
	n.clock.Advance(day)
	turned.rotate(t)
	if _, ok := turned.keyring(t).Root(first.KID); ok {
		t.Error("a root stays for ever")
	}
	if _, ok := turned.keyring(t).ActiveRoot(); !ok {
		t.Error("the active root went as well")
	}
}
