// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// What an administrator types may look like an id and be none: a sub is often the hex of a
// hash.
func TestFindTakesAnything(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.signIn(t)
	for _, what := range []string{
		"", " ", "0", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("a", 64), strings.Repeat("G", 32),
		"\x00", "\xff\xfe", "é", strings.Repeat("x", 1<<16),
	} {
		if found, err := n.Find(t.Context(), what); err != nil || len(found) != 0 {
			t.Errorf("%.40q: %d found, %v", what, len(found), err)
		}
	}
}

// Nobody is called by a name that is longer than the index takes.
func TestSelectionIsBounded(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	long := strings.Repeat("x", 1<<16)
	for _, sel := range []Selection{{Person: long}, {Client: long}, {Resource: "https://mcp.example.com/" + long}} {
		if _, err := n.RevokeAll(t.Context(), sel); !errors.Is(err, errLongName) {
			t.Errorf("%+.40v: %v", sel, err)
		}
	}
}

// More grants than a page of a listing holds, some of them refreshed meanwhile on another
// node: each one ends.
func TestRevocationOfManyPages(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	const many = 2*store.MaxLimit + 50
	all := make([]*Issued, 0, many)
	for range many {
		all = append(all, n.signInAs(t, ada, asking(client, resource)))
	}
	other := nodeOn(t, n.store, n.clock, n.provider)
	var refreshing sync.WaitGroup
	refreshing.Go(func() {
		for _, i := range all {
			if _, err := other.refresh(t, text(*i.Refresh)); err != nil && oauth.AsError(err) == nil {
				t.Error(err)
			}
		}
	})
	ended, err := n.RevokeAll(t.Context(), Selection{Client: client})
	if err != nil || ended > many {
		t.Errorf("%d of %d ended, %v", ended, many, err)
	}
	refreshing.Wait()
	found, err := n.Find(t.Context(), client)
	if err != nil || len(found) != many {
		t.Fatalf("%d sessions, %v", len(found), err)
	}
	for _, s := range found {
		if s.Ended == nil || s.Ended.Reason != ReasonClient || s.AccessTokens != 0 {
			t.Fatalf("%+v", s)
		}
	}
	if again, err := n.RevokeAll(t.Context(), Selection{Client: client}); err != nil || again != 0 {
		t.Errorf("once more: %d, %v", again, err)
	}
}
