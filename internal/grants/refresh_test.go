// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

func mustRefresh(t testing.TB, n *node, token string) *Issued {
	t.Helper()
	out, err := n.refresh(t, token)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	n.provider.set(func() { n.provider.person.Name = "Ada L." })
	second := mustRefresh(t, n, text(*first.Refresh))
	if text(*second.Refresh) == text(*first.Refresh) || text(second.Access) == text(first.Access) {
		t.Fatal("nothing was rotated")
	}
	if !n.accepts(t, first) || !n.accepts(t, second) {
		t.Fatal("both access tokens should work until they expire")
	}
	if a, _ := n.Access(t.Context(), text(second.Access)); a.Person.Name != "Ada L." {
		t.Fatal("claims were not refreshed")
	}
	third := mustRefresh(t, n, text(*second.Refresh))
	if n.provider.last != "up-1" {
		t.Fatalf("the provider got %q instead of its newest token", n.provider.last)
	}
	if third.Scopes.String() != "mcp read offline_access" {
		t.Fatalf("scope became %q", third.Scopes)
	}
}

// A panic in a provider costs one answer and not the whole server: refreshes run in a
// goroutine of their own.
func TestSec_J21_PanicInRefreshIsUnknown(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	n.terms.Provider = nil
	if _, err := n.refresh(t, text(*first.Refresh)); err == nil || oauth.AsError(err) != nil {
		t.Fatalf("%v is not unknown", err)
	}
	n.terms.Provider = n.provider
	mustRefresh(t, n, text(*first.Refresh))
}

func TestSec_I02_ParallelRefreshesGetOnePair(t *testing.T) {
	t.Parallel()
	a := newNode(t)
	b := nodeOn(t, a.store, a.clock, a.provider)
	first := text(*a.signIn(t).Refresh)
	var mu sync.Mutex
	pairs := map[string]bool{}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 50 {
		n := []*node{a, b}[i%2]
		wg.Go(func() {
			<-start
			out, err := n.refresh(t, first)
			if err != nil {
				t.Errorf("parallel refresh: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			pairs[text(out.Access)+" "+text(*out.Refresh)] = true
		})
	}
	close(start)
	wg.Wait()
	if len(pairs) != 1 {
		t.Fatalf("%d different pairs", len(pairs))
	}
}

func TestSimultaneousRefreshesAskTheProviderOnce(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := text(*n.signIn(t).Refresh)
	n.provider.gate = make(chan struct{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := n.refresh(t, first); err != nil {
				t.Errorf("refresh: %v", err)
			}
		})
	}
	close(n.provider.gate)
	wg.Wait()
	if n.provider.calls != 1 {
		t.Fatalf("the provider was asked %d times", n.provider.calls)
	}
}

func TestRefreshGrace(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	n.clock.Advance(60 * time.Second)
	again := mustRefresh(t, n, text(*first.Refresh))
	if text(*again.Refresh) != text(*second.Refresh) || text(again.Access) != text(second.Access) {
		t.Fatal("within the grace the answer differs")
	}
	if n.events.count(event.Refreshed, "graced") != 1 {
		t.Fatal("a graced refresh is to be counted")
	}
}

func TestSec_I04_OnlyTheImmediatePredecessor(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	third := mustRefresh(t, n, text(*second.Refresh))
	wantReuse(t, n, first, third)
}

// A grace time of 0 takes a second use for what it may be, also where the client only lost
// the answer.
func TestSec_I14_StrictRevokesOnSecondUse(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.terms.Policy.Lifetimes.RefreshGrace = 0
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	wantReuse(t, n, first, second)
}

// wantReuse shows the refresh token of shown, and checks that this was noticed and ended the
// grant of last.
func wantReuse(t *testing.T, n *node, shown, last *Issued) {
	t.Helper()
	_, err := n.refresh(t, text(*shown.Refresh))
	wantReused(t, n, err, last)
}

// wantReused is wantReuse for what a refresh has answered.
func wantReused(t *testing.T, n *node, err error, last *Issued) {
	t.Helper()
	wantCode(t, err, oauth.InvalidGrant)
	if n.events.count(event.RefreshReuse, "") != 1 || n.events.count(event.GrantEnded, ReasonReuse) != 1 {
		t.Fatal("a reuse is to be reported")
	}
	if n.accepts(t, last) {
		t.Fatal("the access token survived a reuse")
	}
	_, err = n.refresh(t, text(*last.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	if n.grant(t, last).Provider != nil {
		t.Fatal("the provider's token survived a reuse")
	}
}

// grant is the record behind a pair.
func (n *node) grant(t testing.TB, i *Issued) *grantRecord {
	t.Helper()
	rec, err := vault.Get(t.Context(), n.Vault, grantKind, i.Grant.String())
	if err != nil {
		t.Fatal(err)
	}
	return &rec.Value
}

func TestSec_I12_ScopeOnlyNarrows(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	ask := func(scope string) (*Issued, error) {
		return n.Refresh(t.Context(), n.terms, Refreshing{Client: client, Token: text(*first.Refresh), Scope: scope})
	}
	// admin is a scope of another resource only, so here it is unknown and dropped.
	for scope, want := range map[string]string{
		"read": "read", "read offline_access": "read offline_access", "mcp unheard-of admin": "mcp",
	} {
		out, err := ask(scope)
		if err != nil || out.Scopes.String() != want {
			t.Fatalf("%q: %v, %v", scope, out, err)
		}
		first = out
	}
	last := mustRefresh(t, n, text(*first.Refresh))
	if last.Scopes.String() != "mcp read offline_access" {
		t.Fatalf("narrowing once narrowed for ever: %q", last.Scopes)
	}
}

func TestSec_I12_WiderIsRefusedUnspent(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	req := request()
	req.Scope = "read"
	code, err := n.IssueCode(t.Context(), req, n.provider.session(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	first, err := n.Redeem(t.Context(), n.terms, redemption(code.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Refresh(t.Context(), n.terms, Refreshing{Client: client, Token: text(*first.Refresh), Scope: "read mcp"})
	wantCode(t, err, oauth.InvalidScope)
	mustRefresh(t, n, text(*first.Refresh))
}

func TestSec_H02_OtherResourceIsRefusedUnspent(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	for _, r := range []string{"https://mcp.example.com/other", "https://evil.example/mcp"} {
		_, err := n.Refresh(t.Context(), n.terms, Refreshing{Client: client, Token: text(*first.Refresh), Resource: r})
		wantCode(t, err, oauth.InvalidTarget)
	}
	if _, err := n.Refresh(t.Context(), n.terms, Refreshing{Client: client, Token: text(*first.Refresh), Resource: resource + "/"}); err != nil {
		t.Fatal(err)
	}
}

func TestSec_E07_TokensBelongToTheirClient(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	_, err := n.Refresh(t.Context(), n.terms, Refreshing{Client: "dcr_other", Token: text(*first.Refresh)})
	wantCode(t, err, oauth.InvalidGrant)
	mustRefresh(t, n, text(*first.Refresh))
}

func TestSec_G09_ProviderEndsTheGrant(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	n.provider.set(func() { n.provider.fail = &provider.Ended{Reason: "invalid_grant", Cause: errors.New("disabled")} })
	_, err := n.refresh(t, text(*first.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	if n.accepts(t, first) {
		t.Fatal("the access token of a disabled person still works")
	}
	n.provider.set(func() { n.provider.fail = nil })
	_, err = n.refresh(t, text(*first.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
}

func TestSec_G10_OutageEndsNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	last := n.signIn(t)
	n.provider.set(func() { n.provider.fail = errors.New("502 Bad Gateway") })
	n.clock.Advance(5*time.Hour - time.Second)
	last = mustRefresh(t, n, text(*last.Refresh))
	if n.events.count(event.Refreshed, modeOutage) != 1 {
		t.Fatal("a refresh without the provider is to be audited")
	}
	n.clock.Advance(time.Second)
	_, err := n.refresh(t, text(*last.Refresh))
	wantUnknown(t, err)
	n.provider.set(func() { n.provider.fail = nil })
	mustRefresh(t, n, text(*last.Refresh))
	if n.provider.last != "up-0" {
		t.Fatalf("after the outage the provider got %q", n.provider.last)
	}
}

func TestAnotherPersonEndsTheGrant(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	n.provider.set(func() { n.provider.person.Subject = "tid.somebody-else" })
	_, err := n.refresh(t, text(*first.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	if n.accepts(t, first) {
		t.Fatal("the grant survived")
	}
}

func TestLostRoleEndsTheGrant(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.terms.Policy.Allow = policy.Allow{{{Attribute: "role", Values: []string{"Reader"}}}}
	first := n.signIn(t)
	n.provider.set(func() { n.provider.person.Roles = nil })
	_, err := n.refresh(t, text(*first.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
}

func TestWithoutProviderToken(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.provider.token = ""
	first := n.signIn(t)
	mustRefresh(t, n, text(*first.Refresh))
	if n.provider.calls != 0 || n.events.count(event.Refreshed, modeUnchecked) != 1 {
		t.Fatal("without a token there is nothing to ask the provider")
	}
}

func TestSec_I11_SessionsEnd(t *testing.T) {
	t.Parallel()
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		n := newNode(t)
		last := n.signIn(t)
		n.clock.Advance(30*24*time.Hour - time.Second)
		last = mustRefresh(t, n, text(*last.Refresh))
		n.clock.Advance(30 * 24 * time.Hour)
		_, err := n.refresh(t, text(*last.Refresh))
		wantCode(t, err, oauth.InvalidGrant)
	})
	t.Run("idle for less than an access token lives", func(t *testing.T) {
		t.Parallel()
		n := newNode(t)
		n.terms.Policy.Lifetimes.RefreshIdle = time.Minute
		last := n.signIn(t)
		n.clock.Advance(time.Minute)
		_, err := n.refresh(t, text(*last.Refresh))
		wantCode(t, err, oauth.InvalidGrant)
		if !n.accepts(t, last) {
			t.Fatal("the access token should live on")
		}
	})
	t.Run("absolute", func(t *testing.T) {
		t.Parallel()
		n := newNode(t)
		last := n.signIn(t)
		for range 4 {
			n.clock.Advance(20 * 24 * time.Hour)
			last = mustRefresh(t, n, text(*last.Refresh))
		}
		n.clock.Advance(10*24*time.Hour - time.Minute)
		last = mustRefresh(t, n, text(*last.Refresh))
		if left := last.Expires.Sub(n.clock.Now()); left != time.Minute {
			t.Fatalf("an access token outlives its grant: %v", left)
		}
		n.clock.Advance(time.Minute)
		_, err := n.refresh(t, text(*last.Refresh))
		wantCode(t, err, oauth.InvalidGrant)
	})
}

// After a lost reply of the store the client sends the same token again and gets the pair
// that was stored, whatever this node believed.
func TestRefreshSurvivesLostReply(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	f := &flaky{Store: n.store, kind: "grant", after: 1}
	other := nodeOn(t, f, n.clock, n.provider)
	_, err := other.refresh(t, text(*first.Refresh))
	wantUnknown(t, err)
	second := mustRefresh(t, other, text(*first.Refresh))
	if !other.accepts(t, second) {
		t.Fatal("the recovered pair does not work")
	}
	mustRefresh(t, other, text(*second.Refresh))
}

func TestAccessTokensAreBounded(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	last := n.signIn(t)
	first := last
	for range 3 * maxAccess {
		last = mustRefresh(t, n, text(*last.Refresh))
	}
	if n.accepts(t, first) || !n.accepts(t, last) {
		t.Fatal("the newest tokens should live, the oldest go")
	}
	rec, err := vault.Get(t.Context(), n.Vault, grantKind, first.Grant.String())
	if err != nil || len(rec.Value.Access) != maxAccess {
		t.Fatalf("%d access tokens, %v", len(rec.Value.Access), err)
	}
}

func TestSec_N07_RecordHoldsNoToken(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	out := mustRefresh(t, n, text(*n.signIn(t).Refresh))
	rec, err := vault.Get(t.Context(), n.Vault, grantKind, out.Grant.String())
	if err != nil {
		t.Fatal(err)
	}
	dump := dumpOf(t, rec.Value)
	for _, s := range []string{text(out.Access), text(*out.Refresh), "up-1"} {
		if contains(dump, s) {
			t.Fatal("the record, even unsealed, holds a token")
		}
	}
}

func TestPolicyDenies(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	n.terms.Policy.Allow = policy.Allow{{{Attribute: "user", Values: []string{"nobody"}}}}
	_, err := n.refresh(t, text(*first.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	n.terms.Policy.Allow = nil
	mustRefresh(t, n, text(*first.Refresh))
}

// Events name the access token that was made, and the refresh token that was refused, by a
// part of its hash.
func TestEventsNameTokensByHash(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	mustRefresh(t, n, text(*first.Refresh)) // graced
	n.clock.Advance(lostResponseWindow + time.Second)
	if _, err := n.refresh(t, text(*first.Refresh)); err == nil {
		t.Fatal("a token was refreshed long after it was replaced")
	}
	want := map[event.Kind][]string{
		event.CodeRedeemed: {event.TokenHash(first.Access.Hash())},
		event.Refreshed:    {event.TokenHash(second.Access.Hash()), event.TokenHash(second.Access.Hash())},
		event.RefreshReuse: {event.TokenHash(first.Refresh.Hash())},
	}
	got := map[event.Kind][]string{}
	for _, e := range n.events.seen {
		if e.Token != "" {
			got[e.Kind] = append(got[e.Kind], e.Token)
		}
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}
