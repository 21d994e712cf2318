// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func TestSec_H08_TenNodesAgree(t *testing.T) {
	t.Parallel()
	first := newNode(t)
	var wg, makers sync.WaitGroup
	roots, kids := make([]seal.KID, 10), make([]string, 10)
	makers.Add(len(roots))
	for i := range roots {
		config := vaulttest.Config(first.store, first.clock.Now, vaulttest.Master(t, 0))
		config.NewSigningKey = func(now time.Time) (seal.SigningKey, error) {
			makers.Done()
			makers.Wait() // every node has seen that there is no keyring
			return seal.NewSigningKey(fmt.Sprint("of node ", i), "RS256", []byte("private"), now), nil
		}
		wg.Go(func() {
			keys, err := vault.New(config).Keyring(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			root, _ := keys.ActiveRoot()
			signing, _ := keys.ActiveSigning()
			index := keys.PersonIndex("ann")
			roots[i], kids[i] = root.KID, signing.KID+fmt.Sprintf("%x", index)
		})
	}
	wg.Wait()
	for i := range roots {
		if roots[i] != roots[0] || kids[i] != kids[0] {
			t.Errorf("node %d has another keyring", i)
		}
	}
	if got := len(first.store.Records("keyring")); got != 1 {
		t.Errorf("%d keyrings", got)
	}
}

func TestKeyringIsReadOnce(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := n.Keyring(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := n.store.Gets("keyring"); got != 1 {
		t.Errorf("%d reads", got)
	}
}

func TestKeyringSurvivesRestart(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{Text: "one"}, time.Hour)
	restarted := sharing(t, n)
	if got, err := restarted.get(t, "a"); err != nil || got.Value.Text != "one" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestKeyringFailuresAreUnknown(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, fail := range []error{errors.New("down"), store.ErrConflict, store.ErrTooLarge} {
		n.store.Fail(fail)
		if _, err := n.Keyring(t.Context()); err == nil || definite(err) {
			t.Errorf("%v became %v", fail, err)
		}
	}
	n.store.Fail(nil)
	n.keyring(t) // a failure is not remembered

	if _, err := sharing(t, n, vaulttest.Master(t, 9)).Keyring(t.Context()); !errors.Is(err, vault.ErrMaster) || definite(err) {
		t.Errorf("another master key: %v", err)
	} else if text := err.Error(); !strings.Contains(text, "(id "+n.master(t).String()+")") ||
		!strings.Contains(text, "("+vaulttest.Master(t, 9).KID().String()+")") || !strings.Contains(text, "encryption_key lines of the other nodes") {
		t.Errorf("the error does not say what to do: %v", err)
	}
	config := vaulttest.Config(n.store, n.clock.Now)
	if _, err := vault.New(config).Keyring(t.Context()); err == nil {
		t.Error("a keyring without a master key")
	}
	config = vaulttest.Config(vaulttest.NewStore(n.clock.Now), n.clock.Now, vaulttest.Master(t, 0))
	config.NewSigningKey = func(time.Time) (seal.SigningKey, error) { return seal.SigningKey{}, errors.New("no key") }
	if _, err := vault.New(config).Keyring(t.Context()); err == nil {
		t.Error("a keyring without a signing key")
	}
}

func TestCallerMayLeave(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	making, release := make(chan struct{}), make(chan struct{})
	config := vaulttest.Config(n.store, n.clock.Now, vaulttest.Master(t, 0))
	config.NewSigningKey = func(now time.Time) (seal.SigningKey, error) {
		close(making)
		<-release
		return seal.NewSigningKey("one", "RS256", []byte("private"), now), nil
	}
	v := vault.New(config)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-making
		cancel()
	}()
	if _, err := v.Keyring(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that left got %v", err)
	}
	close(release)
	if _, err := v.Keyring(t.Context()); err != nil {
		t.Errorf("the one who stayed got %v", err)
	}
	// The work of the one who left was not lost.
	if got := n.store.Gets("keyring"); got != 1 {
		t.Errorf("%d reads", got)
	}
}

func TestSec_G14_UnknownKIDsReadSeldom(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	known := n.activeRoot(t)
	n.clock.Advance(10 * time.Second)
	before := n.store.Gets("keyring")
	for i := range 1000 {
		_, ok, err := n.Root(t.Context(), seal.KID{0xff, byte(i >> 8), byte(i)})
		if ok || err != nil {
			t.Fatalf("kid %d: %t, %v", i, ok, err)
		}
		if i%100 == 99 {
			n.clock.Advance(2 * time.Second)
		}
	}
	// 20 seconds have passed.
	if got := n.store.Gets("keyring") - before; got != 2 {
		t.Errorf("%d reads, want 2", got)
	}
	if root, ok, err := n.Root(t.Context(), known.KID); !ok || err != nil || root.KID != known.KID {
		t.Errorf("known root: %t, %v", ok, err)
	}
}

func TestUnknownKIDWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.keyring(t)
	n.clock.Advance(time.Hour)
	n.store.Fail(errors.New("down"))
	for i := range 3 { // only the first one asks the store
		if _, _, err := n.Root(t.Context(), seal.KID{0xff, 0, byte(i)}); err == nil || definite(err) {
			t.Errorf("try %d: %v", i, err)
		}
	}
	if got := n.store.Gets("keyring"); got != 2 {
		t.Errorf("%d reads", got)
	}
	n.store.Fail(nil)
	n.clock.Advance(10 * time.Second)
	if _, ok, err := n.Root(t.Context(), seal.KID{0xff}); ok || err != nil {
		t.Errorf("after recovery: %t, %v", ok, err)
	}
}

func TestRecordOfARootThatIsGone(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{}, time.Hour)
	for _, r := range n.store.Records("keyring") {
		if err := n.store.Delete(t.Context(), r.Key, store.Version{}); err != nil {
			t.Fatal(err)
		}
	}
	fresh := sharing(t, n)
	if _, err := fresh.get(t, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	fresh.create(t, "a", sample{Text: "new"}, time.Hour)
	if got, err := fresh.get(t, "a"); err != nil || got.Value.Text != "new" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestExpiredKeyringIsReplaced(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	old := n.activeRoot(t)
	n.clock.Advance(vault.MaxLife) // dead inside, not yet for the store
	if got := n.store.Records("keyring"); len(got) != 1 || !n.clock.Now().Before(got[0].Expires) {
		t.Fatal("the store dropped it")
	}
	if fresh := sharing(t, n).activeRoot(t); fresh.KID == old.KID {
		t.Error("an expired keyring was used")
	}
}

func TestVaultNeverPrintsKeys(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{}, time.Hour)
	index := fmt.Sprint(n.keyring(t).Index.Bytes()[:8])
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		out := fmt.Sprintf(verb, n.Vault) + fmt.Sprintf(verb, n)
		if strings.Contains(out, strings.Trim(index, "[]")) {
			t.Errorf("%s prints keys", verb)
		}
	}
}
