// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// The five rules as a table: what a token is to a grant whose generation is 3, rotated at
// the time 1000, of which the predecessor is of generation 2.
func TestStandings(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	id, err := tokens.NewID(n.Rand)
	if err != nil {
		t.Fatal(err)
	}
	mint := func(gen uint32) tokens.Token {
		token, err := n.mint(t.Context(), tokens.Refresh, id, gen)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	hashOf := func(t tokens.Token) []byte { h := t.Hash(); return h[:] }
	current, previous := mint(3), mint(2)
	const minute, day = 60, 24 * 60 * 60
	for _, c := range []struct {
		what     string
		token    tokens.Token
		after    int64 // the rotation
		replaced int64
		sealed   bool
		grace    time.Duration
		want     standing
	}{
		{"the current one", current, 0, 0, true, time.Minute, standsCurrent},
		{"the current one, long after", current, 20 * day, 0, true, time.Minute, standsCurrent},
		{"the predecessor at once", previous, 0, 0, true, time.Minute, standsGraced},
		{"the predecessor, by a clock that is behind", previous, -30, 0, true, time.Minute, standsGraced},
		{"the predecessor at the end of its grace", previous, minute, 0, true, time.Minute, standsGraced},
		{"the predecessor after its grace", previous, minute + 1, 0, true, time.Minute, standsLost},
		{"the predecessor without a sealed successor", previous, 1, 0, false, time.Minute, standsLost},
		{"the predecessor at the end of the day", previous, day, 0, false, time.Minute, standsLost},
		{"the predecessor after a day", previous, day + 1, 0, false, time.Minute, standsReused},
		{"the predecessor a day after it was first replaced", previous, 2 * minute, 1000 + 2*minute - day, true, time.Minute, standsLost},
		{"the predecessor more than a day after it was first replaced", previous, 2 * minute, 1000 + 2*minute - day - 1, true, time.Minute, standsReused},
		{"the predecessor within the grace of its replacement", previous, minute, 1000 - day, true, time.Minute, standsGraced},
		{"the predecessor of a strict server", previous, 0, 0, true, 0, standsReused},
		{"an older one", mint(1), 0, 0, true, time.Minute, standsReused},
		{"a sibling of the predecessor", mint(2), 0, 0, true, time.Minute, standsReused},
		{"a sibling of the current one", mint(3), 0, 0, true, time.Minute, standsReused},
		{"one of a rotation that nobody knows", mint(4), 0, 0, true, time.Minute, standsAhead},
	} {
		g := grantRecord{
			Generation: 3, Current: hashOf(current), Predecessor: hashOf(previous), Rotated: 1000, Replaced: c.replaced,
		}
		if c.sealed {
			g.Successor = []byte("sealed")
		}
		if got := g.standing(c.token, time.Unix(1000+c.after, 0), c.grace); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}

// A token of a sign-in that was never refreshed has no predecessor.
func TestStandingWithoutPredecessor(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	other, err := n.mint(t.Context(), tokens.Refresh, first.Grant, 1)
	if err != nil {
		t.Fatal(err)
	}
	g := n.grant(t, first)
	if got := g.standing(other, n.Now(), time.Minute); got != standsReused {
		t.Errorf("%d", got)
	}
	if got := (&grantRecord{}).standing(other, n.Now(), time.Minute); got != standsAhead {
		t.Errorf("%d to an empty grant", got)
	}
}

// from returns a node whose requests come from an address.
func (n *node) refreshFrom(t *testing.T, address, agent, token string) (*Issued, error) {
	t.Helper()
	ctx := event.WithOrigin(t.Context(), event.Origin{Address: address, Agent: agent})
	return n.Refresh(ctx, n.terms, Refreshing{Client: client, Token: token})
}

func (r *recorder) only(t *testing.T, k event.Kind) event.Event {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []event.Event
	for _, e := range r.seen {
		if e.Kind == k {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d events %s", len(found), k)
	}
	return found[0]
}

func TestSec_I01_StolenTokenEndsTheGrant(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.sink()
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	third, err := n.refreshFrom(t, "203.0.113.77", "claude-code/2.1 (external)", text(*second.Refresh))
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.refreshFrom(t, "198.51.100.9", "thief/1", text(*first.Refresh))
	wantReused(t, n, err, third)
	e := n.events.only(t, event.RefreshReuse)
	if e.Address != "198.51.100.9" || e.Agent != "thief/1" || e.LastAddress != "203.0.113.0/24" || e.LastAgent != "claude-code/2.1" {
		t.Errorf("the report names %q %q and %q %q", e.Address, e.Agent, e.LastAddress, e.LastAgent)
	}
	if e.Grant != first.Grant.String() || e.Client != client || e.Token != event.TokenHash(first.Refresh.Hash()) {
		t.Errorf("the report is about %+v", e)
	}
	if n.events.count(event.RefreshFailed, "invalid") != 1 {
		t.Error("a reuse counts once; the later showing of the dead token is invalid")
	}
}

// sink completes events, as the site does.
func (n *node) sink() { n.Service.Events = event.Sinks{n.events} }

func TestSec_I03_LostAnswerIsReplaced(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.provider.strict = true
	first := n.signIn(t)
	lost := mustRefresh(t, n, text(*first.Refresh))
	n.clock.Advance(10 * time.Minute)
	again := mustRefresh(t, n, text(*first.Refresh))
	if text(*again.Refresh) == text(*lost.Refresh) || text(again.Access) == text(lost.Access) {
		t.Fatal("a pair that may be in the wrong hands was given again")
	}
	if n.events.count(event.Refreshed, modeRecovered) != 1 || n.grant(t, first).Recovered != 1 {
		t.Fatal("a recovery is to be counted")
	}
	if last := n.provider.last; last != "up-1" {
		t.Fatalf("the provider got %q, which is not its newest token", last)
	}
	// The replacement is current, and rotates as any other.
	next := mustRefresh(t, n, text(*again.Refresh))
	wantReuse(t, n, lost, next)
}

// If a thief took the lost answer, the victim's next refresh is the alarm, and the other
// way round.
func TestSec_I03_SupersededSiblingIsReuse(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	n.clock.Advance(10 * time.Minute)
	third := mustRefresh(t, n, text(*first.Refresh))
	wantReuse(t, n, second, third)
}

// The answer to a recovery can be lost as well, or be asked for twice at once; all of it
// ends a day after the first answer.
func TestSec_I03_RecoveryIsRepeatable(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	mustRefresh(t, n, text(*first.Refresh))
	n.clock.Advance(12 * time.Hour)
	second := mustRefresh(t, n, text(*first.Refresh))
	twin := mustRefresh(t, n, text(*first.Refresh))
	if text(*twin.Refresh) != text(*second.Refresh) || text(twin.Access) != text(second.Access) {
		t.Fatal("within its grace a recovery forks")
	}
	n.clock.Advance(12 * time.Hour)
	third := mustRefresh(t, n, text(*first.Refresh))
	if g := n.grant(t, first); g.Recovered != 2 || g.Generation != 2 {
		t.Fatalf("%d recoveries, generation %d", g.Recovered, g.Generation)
	}
	n.clock.Advance(61 * time.Second)
	wantReuse(t, n, first, third)
}

// A rotation after a recovery begins a new day for the new predecessor.
func TestRecoveryEndsWithTheNextRotation(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	mustRefresh(t, n, text(*first.Refresh))
	n.clock.Advance(23 * time.Hour)
	second := mustRefresh(t, n, text(*first.Refresh))
	n.clock.Advance(23 * time.Hour)
	mustRefresh(t, n, text(*second.Refresh))
	n.clock.Advance(23 * time.Hour)
	mustRefresh(t, n, text(*second.Refresh))
	if got := n.events.count(event.Refreshed, modeRecovered); got != 2 {
		t.Fatalf("%d recoveries", got)
	}
}

// A stranger who learns the id of a grant, or has a token of another kind, site or client,
// revokes nothing.
func TestSec_I01_StrangersRevokeNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.sink()
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	third := mustRefresh(t, n, text(*second.Refresh))
	forged := []byte(text(*first.Refresh))
	if forged[50] = 'A'; string(forged) == text(*first.Refresh) {
		forged[50] = 'B'
	}
	for what, r := range map[string]Refreshing{
		"a bad MAC":            {Client: client, Token: string(forged)},
		"an access token":      {Client: client, Token: text(first.Access)},
		"truncated":            {Client: client, Token: text(*first.Refresh)[:100]},
		"padded":               {Client: client, Token: text(*first.Refresh) + "="},
		"another client's":     {Client: "dcr_other", Token: text(*first.Refresh)},
		"another client's now": {Client: "dcr_other", Token: text(*third.Refresh)},
	} {
		_, err := n.Refresh(t.Context(), n.terms, r)
		if e := oauth.AsError(err); e == nil || e.Code != oauth.InvalidGrant {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n.events.count(event.RefreshReuse, "") != 0 || !n.accepts(t, third) {
		t.Fatal("a stranger ended the grant")
	}
	if got := n.events.count(event.RefreshFailed, "invalid"); got != 6 {
		t.Errorf("%d refusals counted", got)
	}
	mustRefresh(t, n, text(*third.Refresh))
}

// A failover of the store that loses a rotation must not look like a theft.
func TestSec_I01_LostRotationIsNoReuse(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	key := n.rawGrant(t)
	before, err := n.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	second := mustRefresh(t, n, text(*first.Refresh))
	if err := n.store.Delete(t.Context(), key, store.Version{}); err != nil {
		t.Fatal(err)
	}
	if err := n.store.Create(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	_, err = n.refresh(t, text(*second.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	if n.events.count(event.RefreshRefused, "ahead") != 1 || n.events.count(event.RefreshReuse, "") != 0 {
		t.Fatal("a lost rotation is to be counted, and is no reuse")
	}
	mustRefresh(t, n, text(*first.Refresh))
}

// rawGrant is the key of the only grant in the store.
func (n *node) rawGrant(t *testing.T) store.Key {
	t.Helper()
	page, err := n.store.List(t.Context(), store.Query{Site: n.Site.String(), Kind: "grant"})
	if err != nil || len(page.Records) != 1 {
		t.Fatalf("%d grants, %v", len(page.Records), err)
	}
	return page.Records[0].Key
}

// Whatever honest parties of one client do, of all the refresh tokens that were ever handed
// out one is current, and whoever was answered last has it.
func TestSec_I05_NothingForks(t *testing.T) {
	t.Parallel()
	a := newNode(t)
	nodes := []*node{a, nodeOn(t, a.store, a.clock, a.provider)}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	first := a.signIn(t)
	handed := []tokens.Token{*first.Refresh}
	previous, last := *first.Refresh, *first.Refresh
	for step := range 300 {
		shown := last
		if random.IntN(3) == 0 && a.grant(t, first).standing(previous, a.Now(), time.Minute) == standsGraced {
			shown = previous
		}
		out := mustRefresh(t, nodes[random.IntN(2)], text(shown))
		if text(shown) == text(last) {
			previous, last = last, *out.Refresh
			handed = append(handed, last)
		} else if text(*out.Refresh) != text(last) {
			t.Fatalf("step %d: a second branch", step)
		}
		current := 0
		for _, token := range handed {
			if a.grant(t, first).standing(token, a.Now(), time.Minute) == standsCurrent {
				current++
			}
		}
		if current != 1 {
			t.Fatalf("step %d: %d current tokens", step, current)
		}
		a.clock.Advance(time.Duration(random.IntN(90)) * time.Second)
	}
	if a.grant(t, first).Ended != nil {
		t.Fatal("honest clients were signed out")
	}
}

func TestSec_I06_OneRotationWins(t *testing.T) {
	t.Parallel()
	a := newNode(t)
	a.provider.token = "" // without the provider there is no lease: the swap alone decides
	first := a.signIn(t)
	b := nodeOn(t, &slow{Store: a.store, before: func() {
		// Between the look of b and its write, a rotates.
		mustRefresh(t, a, text(*first.Refresh))
	}}, a.clock, a.provider)
	got := mustRefresh(t, b, text(*first.Refresh))
	if b.events.count(event.Refreshed, modeGraced) != 1 || a.events.count(event.Refreshed, modeUnchecked) != 1 {
		t.Fatal("both rotated")
	}
	if !same(got.Refresh.Hash(), a.grant(t, first).Current) {
		t.Fatal("the loser got tokens of its own")
	}
}

// slow runs a function before its first update.
type slow struct {
	store.Store
	before func()
}

func (s *slow) Update(ctx context.Context, r store.Record, prev store.Version) error {
	if f := s.before; f != nil && r.Kind == "grant" {
		s.before = nil
		f()
	}
	return s.Store.Update(ctx, r, prev)
}

func TestSec_I07_RestartForgetsNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	third := mustRefresh(t, n, text(*second.Refresh))
	again := nodeOn(t, n.store, n.clock, n.provider)
	wantReuse(t, again, first, third)
}

func TestSec_I08_FailedRevocationIsTriedAgain(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second := mustRefresh(t, n, text(*first.Refresh))
	third := mustRefresh(t, n, text(*second.Refresh))
	f := &flaky{Store: n.store, kind: "grant", before: 1}
	other := nodeOn(t, f, n.clock, n.provider)
	_, err := other.refresh(t, text(*first.Refresh))
	wantUnknown(t, err)
	if other.events.count(event.RefreshReuse, "") != 0 {
		t.Fatal("the report came before the deed")
	}
	wantReuse(t, other, first, third)
}

func TestSec_I10_GrantsAreState(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	if err := n.store.Delete(t.Context(), n.rawGrant(t), store.Version{}); err != nil {
		t.Fatal(err)
	}
	_, err := n.refresh(t, text(*first.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	if n.accepts(t, first) {
		t.Fatal("an access token without a grant works")
	}
}

// An outage is unknown and counted as such; a client that has gone counts for nothing.
func TestFailedRefreshesAreCounted(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	n.provider.set(func() { n.provider.fail = errors.New("down") })
	n.clock.Advance(5 * time.Hour)
	_, err := n.refresh(t, text(*first.Refresh))
	wantUnknown(t, err)
	if n.events.count(event.RefreshFailed, "unavailable") != 1 {
		t.Error("an outage is to be counted")
	}
	gone, cancel := context.WithCancel(t.Context())
	n.provider.during = cancel
	if _, err := n.Refresh(gone, n.terms, Refreshing{Client: client, Token: text(*first.Refresh)}); err == nil {
		t.Error("the provider is down")
	}
	if n.events.count(event.RefreshFailed, "unavailable") != 1 {
		t.Error("a client that has gone is none that failed")
	}
}
