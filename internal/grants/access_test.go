// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// counting counts what is read from a store.
type counting struct {
	store.Store
	gets atomic.Int32
	fail error
}

func (c *counting) Get(ctx context.Context, k store.Key) (store.Record, error) {
	c.gets.Add(1)
	if c.fail != nil {
		return store.Record{}, c.fail
	}
	return c.Store.Get(ctx, k)
}

// counted returns a node whose reads are counted, with a grant and its keyring loaded.
func counted(t *testing.T) (*node, *counting, *Issued) {
	t.Helper()
	first := newNode(t)
	c := &counting{Store: first.store}
	n := nodeOn(t, c, first.clock, first.provider)
	issued := n.signIn(t)
	c.gets.Store(0)
	return n, c, issued
}

// A token that the guard does not remember costs one read of the store, with everything
// that is to know about it, and the question whether a grant still stands another one.
func TestAccessIsOneRead(t *testing.T) {
	t.Parallel()
	n, c, issued := counted(t)
	if _, err := n.Access(t.Context(), text(issued.Access)); err != nil || c.gets.Load() != 1 {
		t.Errorf("%d reads: %v", c.gets.Load(), err)
	}
	if err := n.Alive(t.Context(), issued.Grant); err != nil || c.gets.Load() != 2 {
		t.Errorf("%d reads: %v", c.gets.Load(), err)
	}
}

// Whatever somebody invents is told apart by its MAC: it reads nothing.
func TestSec_M01_InventedTokensReadNothing(t *testing.T) {
	t.Parallel()
	n, c, issued := counted(t)
	real := text(issued.Access)
	for i := range real {
		flipped := []byte(real)
		if flipped[i]++; flipped[i] == '{' || flipped[i] == '[' || flipped[i] == ':' {
			flipped[i] = 'A'
		}
		err := n.Authentic(t.Context(), string(flipped))
		if e := oauth.AsError(err); e == nil || e.Code != oauth.InvalidToken {
			t.Errorf("character %d: %v", i, err)
		}
	}
	for _, invented := range []string{"", "mcpo_at_", strings.Repeat("x", 104), "mcpo_at_" + strings.Repeat("A", 96), text(*issued.Refresh)} {
		if err := n.Authentic(t.Context(), invented); oauth.AsError(err) == nil {
			t.Errorf("%s: %v", invented, err)
		}
	}
	if err := n.Authentic(t.Context(), real); err != nil {
		t.Error(err)
	}
	// A byte that changes the key id makes the keyring be read again, once in ten seconds.
	if reads := c.gets.Load(); reads > 1 {
		t.Errorf("%d reads", reads)
	}
}

// Alive has three answers.
func TestAlive(t *testing.T) {
	t.Parallel()
	n, c, issued := counted(t)
	c.fail = errors.New("store is down")
	if err := n.Alive(t.Context(), issued.Grant); err == nil || oauth.AsError(err) != nil {
		t.Errorf("without the store: %v", err)
	}
	c.fail = nil
	if err := n.End(t.Context(), issued.Grant, "test"); err != nil {
		t.Fatal(err)
	}
	if err := n.Alive(t.Context(), issued.Grant); oauth.AsError(err) == nil {
		t.Errorf("an ended grant: %v", err)
	}
	if err := n.Alive(t.Context(), [16]byte{1}); oauth.AsError(err) == nil {
		t.Errorf("a grant that never was: %v", err)
	}
}

// The name under which other nodes report a grant is the one that the store has.
func TestRecordID(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	issued := n.signIn(t)
	page, err := n.store.List(t.Context(), store.Query{Site: n.Vault.Site().String(), Kind: "grant"})
	if err != nil {
		t.Fatal(err)
	}
	want := RecordID(issued.Grant)
	if len(page.Records) != 1 || page.Records[0].ID != hex.EncodeToString(want[:]) {
		t.Errorf("the store has %v, the grant is %x", page.Records, want)
	}
}
