// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// opens returns the provider's token that holder opens in the grant, "" for none.
func (n *node) opens(t *testing.T, i *Issued, holder tokens.Token) string {
	t.Helper()
	g := n.grant(t, i)
	dek, err := n.dataKey(g, holder)
	if errors.Is(err, errNoWrap) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	token, err := n.openProvider(g, i.Grant, dek)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// Who opens the provider's token: the current refresh token and, for a day, its
// predecessor. Nobody else.
func TestSec_N07_WhoOpensTheProvidersToken(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	third := mustRefresh(t, n, text(*second.Refresh))
	for what, c := range map[string]struct {
		holder tokens.Token
		want   string
	}{
		"current":           {*third.Refresh, "up-2"},
		"predecessor":       {*second.Refresh, "up-2"},
		"older":             {*first.Refresh, ""},
		"access":            {third.Access, ""},
		"access of earlier": {first.Access, ""},
	} {
		if got := n.opens(t, third, c.holder); got != c.want {
			t.Errorf("%s opens %q, want %q", what, got, c.want)
		}
	}
	n.clock.Advance(lostResponseWindow + time.Second)
	if err := n.amend(t.Context(), first.Grant.String(), func(*grantRecord) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if n.opens(t, third, *second.Refresh) != "" || n.opens(t, third, *third.Refresh) != "up-2" {
		t.Error("after a day the predecessor opens the provider's token, or the current one does not")
	}
}

// A refresh takes a new data key: who kept the old one opens nothing later.
func TestRefreshTakesANewDataKey(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	old, err := n.dataKey(n.grant(t, first), *first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	second := mustRefresh(t, n, text(*first.Refresh))
	if _, err := n.openProvider(n.grant(t, second), second.Grant, old); err == nil {
		t.Error("the old data key opens the new token of the provider")
	}
}

// Where checks follow use, each live access token opens the provider's token, and the data
// key stays, since open streams hold it.
func TestAccessTokensOpenTheProvidersToken(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.terms.Policy.Verify = provider.Verification{Every: 15 * time.Minute}
	first := n.signIn(t)
	held, err := n.dataKey(n.grant(t, first), first.Access)
	if err != nil {
		t.Fatal(err)
	}
	if got := n.opens(t, first, first.Access); got != "up-0" {
		t.Fatalf("the first access token opens %q", got)
	}
	n.clock.Advance(20 * time.Minute)
	second := mustRefresh(t, n, text(*first.Refresh))
	for what, holder := range map[string]tokens.Token{
		"first access": first.Access, "second access": second.Access, "predecessor": *first.Refresh, "current": *second.Refresh,
	} {
		if got := n.opens(t, second, holder); got != "up-1" {
			t.Errorf("%s opens %q", what, got)
		}
	}
	if got, err := n.openProvider(n.grant(t, second), second.Grant, held); err != nil || got.Reveal() != "up-1" {
		t.Errorf("the key of an open stream opens %v, %v", got, err)
	}
	// A change of the setting takes it away with the next refresh.
	n.terms.Policy.Verify = provider.Verification{}
	third := mustRefresh(t, n, text(*second.Refresh))
	for _, holder := range []tokens.Token{first.Access, second.Access, third.Access} {
		if got := n.opens(t, third, holder); got != "" {
			t.Errorf("an access token still opens %q", got)
		}
	}
}

// A check by an access token keeps the data key: all who could open the old token of the
// provider open the new one.
func TestResealingKeepsTheDataKey(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.terms.Policy.Verify = provider.Verification{Every: 15 * time.Minute}
	first := n.signIn(t)
	dek, err := n.dataKey(n.grant(t, first), first.Access)
	if err != nil {
		t.Fatal(err)
	}
	err = n.amend(t.Context(), first.Grant.String(), func(g *grantRecord) bool {
		return n.resealProvider(g, first.Grant, dek, secret.New("up-9")) == nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n.opens(t, first, first.Access) != "up-9" || n.opens(t, first, *first.Refresh) != "up-9" {
		t.Error("a holder lost the provider's token")
	}
}

// With an interval the provider is asked once in it, however often the client refreshes.
func TestYoungYesSufficesForARefresh(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.terms.Policy.Verify = provider.Verification{Every: 15 * time.Minute}
	last := n.signIn(t)
	n.clock.Advance(15*time.Minute - time.Second)
	last = mustRefresh(t, n, text(*last.Refresh))
	if n.provider.calls != 0 || n.opens(t, last, *last.Refresh) != "up-0" {
		t.Fatalf("%d calls", n.provider.calls)
	}
	n.clock.Advance(time.Second)
	last = mustRefresh(t, n, text(*last.Refresh))
	if n.provider.calls != 1 || n.opens(t, last, *last.Refresh) != "up-1" {
		t.Fatalf("%d calls", n.provider.calls)
	}
	// A clock that was set back a day must not put the check off for a day.
	n.clock.Advance(-24 * time.Hour)
	mustRefresh(t, n, text(*last.Refresh))
	if n.provider.calls != 2 {
		t.Fatalf("%d calls", n.provider.calls)
	}
}

// With verify_account never nothing of the provider is kept, also of a sign-in before.
func TestNeverKeepsNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	before := n.signIn(t)
	n.terms.Policy.Verify = provider.Verification{Never: true}
	after := n.signIn(t)
	if n.grant(t, before).Provider == nil || n.grant(t, after).Provider != nil {
		t.Fatal("a new grant keeps the provider's token, or an old one never did")
	}
	mustRefresh(t, n, text(*before.Refresh))
	if g := n.grant(t, before); g.Provider != nil || g.PredecessorWrap != nil || n.provider.calls != 0 {
		t.Fatalf("%d calls, kept %+v", n.provider.calls, g.Provider)
	}
}

// Where a token of the provider was kept that the predecessor cannot open, the answer to
// it stays lost, and nobody is accused.
func TestPredecessorWithoutWrapIsRefused(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	err := n.amend(t.Context(), first.Grant.String(), func(g *grantRecord) bool { g.PredecessorWrap = nil; return true })
	if err != nil {
		t.Fatal(err)
	}
	n.clock.Advance(2 * time.Minute)
	if _, err := n.refresh(t, text(*first.Refresh)); err == nil {
		t.Fatal("recovered without the provider")
	}
	mustRefresh(t, n, text(*second.Refresh))
}

// A strict server keeps nothing for predecessors.
func TestStrictKeepsNothingForPredecessors(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	second := mustRefresh(t, n, text(*n.signIn(t).Refresh))
	n.terms.Policy.Lifetimes.RefreshGrace = 0
	mustRefresh(t, n, text(*second.Refresh))
	if g := n.grant(t, second); g.Successor != nil || g.PredecessorWrap != nil {
		t.Fatal("something is kept for the predecessor")
	}
}
