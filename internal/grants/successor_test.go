// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// After its window the sealed pair opens nothing, and the next write removes it.
func TestSec_I15_SuccessorIsForgotten(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	touch := func() {
		t.Helper()
		if err := n.amend(t.Context(), first.Grant.String(), func(*grantRecord) bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	n.clock.Advance(longestGrace)
	touch()
	if n.grant(t, first).Successor == nil {
		t.Fatal("the successor went too early")
	}
	n.clock.Advance(time.Second)
	touch()
	if n.grant(t, first).Successor != nil {
		t.Fatal("the successor is still there")
	}
	// A recovery replaces the pair: the first one is nowhere any more.
	third := mustRefresh(t, n, text(*first.Refresh))
	if text(*third.Refresh) == text(*second.Refresh) {
		t.Fatal("the forgotten pair came back")
	}
}

// A graced answer whose access token is about to expire comes with a fresh one, from any
// node, and is the same for whoever asks next.
func TestGracedAnswerIsFresh(t *testing.T) {
	t.Parallel()
	a := newNode(t)
	b := nodeOn(t, a.store, a.clock, a.provider)
	for _, n := range []*node{a, b} {
		n.terms.Policy.Lifetimes.Access = 3 * time.Minute
		n.terms.Policy.Lifetimes.RefreshGrace = 5 * time.Minute
		n.terms.Policy.Verify = provider.Verification{Every: time.Hour}
	}
	first := a.signIn(t)
	second := mustRefresh(t, a, text(*first.Refresh))
	a.clock.Advance(2 * time.Minute)
	same := mustRefresh(t, b, text(*first.Refresh))
	if text(same.Access) != text(second.Access) || !same.Expires.Equal(second.Expires) {
		t.Fatal("an access token with a minute left is good enough")
	}
	a.clock.Advance(time.Second)
	fresh := mustRefresh(t, b, text(*first.Refresh))
	if text(fresh.Access) == text(second.Access) || text(*fresh.Refresh) != text(*second.Refresh) {
		t.Fatal("not the same refresh token with a fresh access token")
	}
	if left := fresh.Expires.Sub(a.clock.Now()); left != 3*time.Minute {
		t.Fatalf("a fresh access token for %v", left)
	}
	if !a.accepts(t, fresh) || !a.accepts(t, second) {
		t.Fatal("both access tokens should work")
	}
	if got := a.opens(t, fresh, fresh.Access); got != "up-0" {
		t.Errorf("the fresh access token opens %q", got)
	}
	again := mustRefresh(t, a, text(*first.Refresh))
	if text(again.Access) != text(fresh.Access) {
		t.Fatal("each graced answer brings another access token")
	}
	mustRefresh(t, a, text(*fresh.Refresh))
}

// Where no access token can live longer, the one there is is as fresh as it gets.
func TestGracedAnswerAtTheEndOfTheGrant(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(n *node){
		"short access tokens": func(n *node) { n.terms.Policy.Lifetimes.Access = 80 * time.Second },
		"end of the grant":    func(n *node) { n.clock.Advance(90*24*time.Hour - 50*time.Second) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.terms.Policy.Lifetimes.RefreshIdle = 90 * 24 * time.Hour
			first := n.signIn(t)
			end(n)
			second := mustRefresh(t, n, text(*first.Refresh))
			n.clock.Advance(40 * time.Second)
			again := mustRefresh(t, n, text(*first.Refresh))
			if text(again.Access) != text(second.Access) {
				t.Fatal("a fresh access token that is no fresher")
			}
		})
	}
}

// The same token with other scopes gets an access token with those, beside the same
// refresh token.
func TestGracedAnswerHasTheScopesOfTheRequest(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	ask := func(scope string) *Issued {
		t.Helper()
		out, err := n.Refresh(t.Context(), n.terms, Refreshing{Client: client, Token: text(*first.Refresh), Scope: scope})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	narrow := ask("read")
	whole := ask("")
	if narrow.Scopes.String() != "read" || whole.Scopes.String() != "mcp read offline_access" {
		t.Fatalf("%q and %q", narrow.Scopes, whole.Scopes)
	}
	if text(*narrow.Refresh) != text(*whole.Refresh) || text(narrow.Access) == text(whole.Access) {
		t.Fatal("not one refresh token with two access tokens")
	}
	if again := ask(""); text(again.Access) != text(whole.Access) {
		t.Fatal("the same request got another answer")
	}
}

// A pair whose access token was revoked meanwhile is answered with a living one.
func TestGracedAnswerAfterARevocation(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	err := n.amend(t.Context(), first.Grant.String(), func(g *grantRecord) bool { g.Access = nil; return true })
	if err != nil {
		t.Fatal(err)
	}
	again := mustRefresh(t, n, text(*first.Refresh))
	if !n.accepts(t, again) || n.accepts(t, second) || text(*again.Refresh) != text(*second.Refresh) {
		t.Fatal("a dead access token was given again")
	}
}

// Both places of a graced refresh are reported where they differ: it can be a second process
// of the client, or a thief.
func TestSec_I14_GracedFromElsewhere(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.sink()
	first := n.signIn(t)
	if _, err := n.refreshFrom(t, "203.0.113.77", "client/1", text(*first.Refresh)); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{"203.0.113.9": "", "198.51.100.1": "203.0.113.0/24"} {
		if _, err := n.refreshFrom(t, address, "client/1", text(*first.Refresh)); err != nil {
			t.Fatal(err)
		}
		last := n.events.seen[len(n.events.seen)-1]
		if last.Kind != event.Refreshed || last.Mode != modeGraced || last.LastAddress != want {
			t.Errorf("from %s: %+v", address, last)
		}
	}
}
