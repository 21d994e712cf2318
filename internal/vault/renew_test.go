// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// An emergency: whatever may be known to somebody else is of no use to them afterwards,
// and nobody is signed out.
func TestSec_H07_RenewNow(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, wait := range []time.Duration{0, 83 * day, 7 * day, 83 * day} {
		n.clock.Advance(wait)
		n.rotate(t)
	}
	n.create(t, "a", sample{Text: "one"}, 100*time.Hour)
	leaked := n.activeRoot(t)
	token, tid, err := seal.SealLogin(rand.Reader, leaked, n.Site(), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	handle := leaked.StateHandle(n.Site(), tid)
	if got := n.signing(t); got != "2 active, 3 next" {
		t.Fatalf("before: %s", got)
	}
	if err := n.RenewNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A key that was published and not yet used lay beside the others.
	if got := n.signing(t); got != "4 active" {
		t.Errorf("signing keys %s", got)
	}
	if got := n.activeRoot(t).KID; got != leaked.KID {
		t.Errorf("root %s is in use before others can have read it", got)
	}
	n.clock.Advance(time.Minute)
	for _, node := range []node{n, sharing(t, n)} {
		if got := node.activeRoot(t).KID; got == leaked.KID {
			t.Error("the leaked root is in use")
		}
		if _, _, err := seal.OpenLogin(node.keyring(t).Root, node.Site(), token); err == nil {
			t.Error("a login token of the leaked root opens")
		}
		if _, ok := seal.OpenStateHandle(node.keyring(t).BrowserRoots(), node.Site(), handle); ok {
			t.Error("a state handle of the leaked root opens")
		}
		if got, err := node.get(t, "a"); err != nil || got.Value.Text != "one" {
			t.Errorf("a record from before: %+v, %v", got, err)
		}
	}
	if got := n.events.Modes(event.KeyringRotated); got[len(got)-1] != "all_replaced" {
		t.Errorf("events %v", got)
	}
}

// Two emergencies within a minute do not put a root to use that others may not know yet.
func TestRenewNowTwice(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.activeRoot(t)
	n.clock.Advance(time.Hour)
	for range 2 {
		if err := n.RenewNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := n.activeRoot(t).KID; got != first.KID {
			t.Errorf("root %s is in use", got)
		}
		n.clock.Advance(59 * time.Second)
	}
	n.clock.Advance(time.Second)
	roots := n.keyring(t).Roots
	if got := n.activeRoot(t); len(roots) != 3 || got.KID != roots[0].KID {
		t.Errorf("active %v of %v", got, roots)
	}
}

// A root that is replaced while everything works stays good for what was made with it.
func TestRenew(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	before := n.activeRoot(t)
	if err := n.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := n.signing(t); got != "1 active, 2 next" {
		t.Errorf("signing keys %s", got)
	}
	n.clock.Advance(vault.SigningLead - time.Second)
	n.rotate(t)
	if got := n.signing(t); got != "1 active, 2 next" {
		t.Errorf("a second before its time: %s", got)
	}
	n.clock.Advance(time.Second)
	n.rotate(t)
	if got := n.signing(t); got != "1 retired, 2 active" {
		t.Errorf("after a day: %s", got)
	}
	if previous, ok := n.keyring(t).PreviousRoot(); !ok || previous.KID != before.KID || n.activeRoot(t).KID == before.KID {
		t.Errorf("roots %v", n.keyring(t).Roots)
	}
	// A key that has been published for a day already need not wait.
	n.clock.Advance(83 * day)
	n.rotate(t)
	n.clock.Advance(2 * day)
	if err := n.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := n.signing(t); got != "2 retired, 3 active" {
		t.Errorf("with the next one published: %s", got)
	}
}

// However many nodes renew at once, they end up with the same keys, and each did it.
func TestManyNodesRenewAtOnce(t *testing.T) {
	t.Parallel()
	first := newNode(t)
	first.rotate(t)
	nodes := make([]node, 8)
	var wg sync.WaitGroup
	for i := range nodes {
		nodes[i] = sharing(t, first)
		nodes[i].keyring(t)
	}
	first.clock.Advance(time.Hour)
	for i, n := range nodes {
		renew := n.RenewNow
		if i%2 == 1 {
			renew = n.Rotate
		}
		wg.Go(func() {
			if err := renew(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	first.clock.Advance(time.Minute)
	for _, n := range nodes {
		if err := n.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := n.activeRoot(t).KID, nodes[0].activeRoot(t).KID; got != want || len(n.keyring(t).Roots) != 5 {
			t.Errorf("root %s and %s of %v", got, want, n.keyring(t).Roots)
		}
		if got, want := n.signing(t), nodes[0].signing(t); got != want || len(n.keyring(t).Signing) != 1 {
			t.Errorf("signing keys %s and %s", got, want)
		}
	}
}

func TestRenewFailuresAreUnknown(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.keyring(t)
	n.store.Only(faulty.Update, "keyring")
	for _, fail := range []error{errors.New("down"), store.ErrTooLarge, store.ErrConflict} {
		n.store.Fail(fail)
		for _, renew := range []func() error{
			func() error { return n.Renew(t.Context()) }, func() error { return n.RenewNow(t.Context()) },
		} {
			if err := renew(); err == nil || definite(err) {
				t.Errorf("%v became %v", fail, err)
			}
		}
	}
	if got := n.signing(t); got != "1 active" {
		t.Errorf("signing keys %s", got)
	}
}

// Who has JWTs at hand learns on every node that their key went before its time, and is
// left alone when keys only grow old.
func TestSec_H07_DroppedKeysAreAnnounced(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	var here, there atomic.Int32
	counting := func(count *atomic.Int32) node {
		config := vaulttest.Config(n.store, n.clock.Now, vaulttest.Master(t, 0))
		config.Dropped = func() { count.Add(1) }
		out := n
		out.Vault = vault.New(config)
		return out
	}
	one, other := counting(&here), counting(&there)
	for range 200 {
		one.rotate(t)
		if err := other.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.clock.Advance(day)
	}
	if here.Load() != 0 || there.Load() != 0 {
		t.Errorf("%d and %d announcements of nothing", here.Load(), there.Load())
	}
	if err := other.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := one.RenewNow(t.Context()); err != nil || here.Load() != 1 {
		t.Errorf("%d announcements, %v", here.Load(), err)
	}
	if err := other.Follow(t.Context()); err != nil || there.Load() != 0 {
		t.Errorf("after a read a moment ago: %d announcements, %v", there.Load(), err)
	}
	n.clock.Advance(10 * time.Second)
	for range 2 {
		if err := other.Follow(t.Context()); err != nil || there.Load() != 1 {
			t.Errorf("%d announcements, %v", there.Load(), err)
		}
	}
	if got, want := other.signing(t), one.signing(t); got != want {
		t.Errorf("signing keys %s and %s", got, want)
	}
}

// A keyring that cannot be read now is not forgotten.
func TestFollowWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	if n.Loaded() != nil {
		t.Error("a keyring before anybody asked")
	}
	n.keyring(t)
	n.clock.Advance(time.Minute)
	n.store.Fail(errors.New("down"))
	for _, err := range []error{n.Follow(t.Context()), n.Reload(t.Context())} {
		if err == nil || definite(err) {
			t.Errorf("got %v", err)
		}
	}
	if got := n.Loaded(); got == nil || !slices.Equal(got.Roots, n.keyring(t).Roots) {
		t.Errorf("loaded %v", got)
	}
}

// Renewing seals under the first master key, and nodes of the other order leave it there.
func TestRenewMovesToTheFirstMasterKey(t *testing.T) {
	t.Parallel()
	old, fresh := vaulttest.Master(t, 0), vaulttest.Master(t, 100)
	before := newNode(t, old, fresh)
	before.rotate(t)
	after := sharing(t, before, fresh, old)
	if err := after.RenewNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	before.clock.Advance(time.Hour)
	before.rotate(t)
	if before.master(t) != fresh.KID() {
		t.Error("the keyring is not sealed under the first key")
	}
}
