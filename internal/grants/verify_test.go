// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

var (
	errAway = errors.New("connection refused")
	gone    = &provider.Ended{Reason: "invalid_grant", Reference: "ref", Cause: errors.New("disabled")}
)

// every returns a node that verifies accounts every 15 minutes.
func every(t *testing.T) *node {
	t.Helper()
	n := newNode(t)
	n.verifyEvery(15 * time.Minute)
	return n
}

func (n *node) verifyEvery(d time.Duration) { n.terms.Policy.Verify = provider.Verification{Every: d} }

// use is what the guard does with an access token that it does not know, and what comes of
// it beside the request.
func (n *node) use(t testing.TB, i *Issued) (*Access, error) {
	t.Helper()
	a, err := n.Access(t.Context(), text(i.Access))
	if err != nil {
		return nil, err
	}
	return n.Verify(t.Context(), n.terms, a, text(i.Access))
}

// uses uses an access token and waits for whatever that began.
func (n *node) uses(t testing.TB, i *Issued) *Access {
	t.Helper()
	a, err := n.use(t, i)
	synctest.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (n *node) wantCalls(t testing.TB, want int) {
	t.Helper()
	n.provider.set(func() {
		if n.provider.calls != want {
			t.Errorf("%d calls to the provider, want %d", n.provider.calls, want)
		}
	})
}

func TestAccountIsVerifiedWithUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		i := n.signIn(t)
		at := n.clock.Now()
		if a := n.uses(t, i); !a.Until.Equal(at.Add(15 * time.Minute)) {
			t.Errorf("the first yes serves until %v", a.Until)
		}
		n.clock.Advance(15*time.Minute - time.Second)
		n.uses(t, i)
		n.wantCalls(t, 0)
		n.clock.Advance(time.Second)
		if a := n.uses(t, i); !a.Until.Equal(at.Add(30 * time.Minute)) {
			t.Errorf("a yes that is being confirmed serves until %v", a.Until)
		}
		n.wantCalls(t, 1)
		if a := n.uses(t, i); !a.Until.Equal(at.Add(30 * time.Minute)) {
			t.Errorf("the new yes serves until %v", a.Until)
		}
		n.wantCalls(t, 1)
		if n.events.count(event.AccountVerified, checkSame) != 1 || n.evicted.Load() != 0 {
			t.Errorf("events %+v, %d evictions", n.events.seen, n.evicted.Load())
		}
		if g := n.grant(t, i); g.LeaseUntil != 0 || g.LastYes != n.clock.Now().Unix() {
			t.Errorf("%+v", g)
		}
		// The refresh token opens what the check has replaced, and a young yes is enough.
		if _, err := n.refresh(t, text(*i.Refresh)); err != nil {
			t.Fatal(err)
		}
		n.wantCalls(t, 1)
		if n.events.count(event.Refreshed, modeRecent) != 1 {
			t.Errorf("events %+v", n.events.seen)
		}
	})
}

// While the last yes is younger than twice the interval nobody waits; after that the
// request does, and a no is told to it.
func TestSec_G09_DisabledAccountIsDenied(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		after   time.Duration
		patient bool
	}{
		"beside the request": {16 * time.Minute, true},
		"before it passes":   {31 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := every(t)
				i := n.signIn(t)
				n.provider.fail = gone
				n.clock.Advance(tt.after)
				_, err := n.use(t, i)
				synctest.Wait()
				if tt.patient && err != nil {
					t.Errorf("the request waited: %v", err)
				}
				if !tt.patient {
					wantCode(t, err, oauth.InvalidToken)
				}
				if _, err = n.use(t, i); err == nil {
					t.Fatal("the next request passes")
				}
				wantCode(t, err, oauth.InvalidToken)
				n.wantCalls(t, 1)
				if g := n.grant(t, i); g.Ended == nil || g.Ended.Reason != "invalid_grant" || g.Provider != nil {
					t.Errorf("%+v", g)
				}
				if n.evicted.Load() == 0 || n.events.count(event.GrantEnded, "invalid_grant") != 1 {
					t.Errorf("%d evictions, events %+v", n.evicted.Load(), n.events.seen)
				}
				_, err = n.refresh(t, text(*i.Refresh))
				wantCode(t, err, oauth.InvalidGrant)
			})
		})
	}
}

func TestChangedClaimsAreSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		i := n.signIn(t)
		n.provider.person.Roles = []string{"Writer"}
		n.provider.person.Name = "Ada L."
		n.clock.Advance(31 * time.Minute)
		if a := n.uses(t, i); !slices.Equal(a.Person.Roles, []string{"Writer"}) || a.Person.Name != "Ada L." {
			t.Errorf("the request that waited passes as %+v", a.Person)
		}
		if n.evicted.Load() != 1 || n.events.count(event.AccountVerified, checkChanged) != 1 {
			t.Errorf("%d evictions, events %+v", n.evicted.Load(), n.events.seen)
		}
		// What a refresh learns counts as well.
		n.provider.person.Roles = nil
		n.clock.Advance(16 * time.Minute)
		if _, err := n.refresh(t, text(*i.Refresh)); err != nil {
			t.Fatal(err)
		}
		if n.evicted.Load() != 2 {
			t.Errorf("%d evictions after a refresh with other claims", n.evicted.Load())
		}
	})
}

// A person who lost what the policy asks for is out, though the provider says yes.
func TestSec_G09_LostRoleEndsTheGrant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		n.terms.Policy.Allow = policy.Allow{{{Attribute: "role", Values: []string{"Reader"}}}}
		i := n.signIn(t)
		n.provider.person.Roles = []string{"Other"}
		n.clock.Advance(16 * time.Minute)
		n.uses(t, i)
		_, err := n.use(t, i)
		wantCode(t, err, oauth.InvalidToken)
		if n.events.count(event.GrantEnded, "policy") != 1 {
			t.Errorf("events %+v", n.events.seen)
		}
	})
}

// An outage of the provider logs nobody out: the last yes serves for provider_outage, and
// the provider is asked once in an interval until it answers.
func TestSec_G10_OutageWhileInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		n.terms.Policy.Lifetimes.Access = 12 * time.Hour // so that no refresh is needed
		n.terms.Policy.Lifetimes.ProviderOutage = 4 * time.Hour
		n.verifyEvery(12 * time.Hour)
		i := n.signIn(t)
		n.verifyEvery(15 * time.Minute)
		n.terms.Policy.Lifetimes.Access = time.Hour
		n.provider.fail = errAway
		const step = 30 * time.Second
		for age := time.Duration(0); age < 5*time.Hour; age += step {
			n.uses(t, i)
			n.clock.Advance(step)
		}
		n.wantCalls(t, 19) // 15 m, 30 m, … 4 h 45 m
		if got := n.events.count(event.AccountVerified, checkOutage); got != 19 || n.events.count(event.ProviderUnsettled, "") != 19 {
			t.Errorf("%d checks of an outage were reported", got)
		}
		for range 20 {
			_, err := n.use(t, i)
			wantUnknown(t, err)
			n.clock.Advance(step)
		}
		if n.events.count(event.AccountVerified, checkVain) != 10 {
			t.Errorf("beyond the outage the provider is asked once a minute: %+v", n.events.count(event.AccountVerified, checkVain))
		}
		if n.grant(t, i).Ended != nil {
			t.Fatal("an outage ended the grant")
		}
		n.provider.set(func() { n.provider.fail = nil })
		n.clock.Advance(time.Minute)
		if a := n.uses(t, i); !a.Until.Equal(n.clock.Now().Add(15 * time.Minute)) {
			t.Errorf("after the outage the yes serves until %v", a.Until)
		}
	})
}

// The first check after an outage finds out who left during it.
func TestSec_G10_DisabledDuringAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		i := n.signIn(t)
		n.provider.fail = errAway
		n.clock.Advance(31 * time.Minute)
		n.uses(t, i)
		n.provider.set(func() { n.provider.fail = gone })
		n.clock.Advance(15*time.Minute - time.Second)
		n.uses(t, i)
		n.wantCalls(t, 1)
		n.clock.Advance(time.Second)
		_, err := n.use(t, i)
		wantCode(t, err, oauth.InvalidToken)
	})
}

func TestHangingProviderIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		i := n.signIn(t)
		n.provider.gate = make(chan struct{})
		n.clock.Advance(31 * time.Minute)
		began := time.Now()
		a, err := n.use(t, i)
		if took := time.Since(began); err != nil || took != verifyPatience {
			t.Errorf("%v after %v", err, took)
		}
		if !a.Until.After(n.clock.Now()) {
			t.Errorf("the answer serves until %v", a.Until)
		}
		close(n.provider.gate)
		synctest.Wait()
		n.wantCalls(t, 1)
	})
}

// A check that begins while the site closes asks nobody, and one that panics ends alone.
func TestChecksThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*node){
		"closing": func(n *node) { n.Hold = func() func() { return nil } },
		"panic":   func(n *node) { n.provider.during = func() { panic("broken provider") } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := every(t)
				i := n.signIn(t)
				change(n)
				n.clock.Advance(16 * time.Minute)
				n.uses(t, i)
				n.clock.Advance(16 * time.Minute)
				n.uses(t, i)
				n.wantCalls(t, 0)
				if n.grant(t, i).Ended != nil {
					t.Error("the grant has ended")
				}
			})
		})
	}
}

// What a check works with stays open until it has written its answer.
func TestCheckHoldsTheSite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		i := n.signIn(t)
		held := 0
		n.Hold = func() func() {
			held++
			return func() { held-- }
		}
		n.provider.during = func() {
			if held != 1 {
				t.Errorf("held %d times while asking", held)
			}
		}
		n.clock.Advance(16 * time.Minute)
		n.uses(t, i)
		n.wantCalls(t, 1)
		if held != 0 {
			t.Errorf("held %d times afterwards", held)
		}
	})
}

// Without provider_outage a question without an answer denies at once, and a lost answer
// is made good within a minute.
func TestNoOutageIsAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		n.terms.Policy.Lifetimes.Access, n.terms.Policy.Lifetimes.ProviderOutage = time.Hour, 0
		i := n.signIn(t)
		n.terms.Policy.Lifetimes.Access = 15 * time.Minute
		n.clock.Advance(16 * time.Minute)
		n.provider.fail = errAway
		n.uses(t, i) // is being confirmed
		_, err := n.use(t, i)
		wantUnknown(t, err)
		wantUnknown(t, n.AliveWith(t.Context(), n.terms, i.Grant, n.key(t, i)))
		n.provider.set(func() { n.provider.fail = nil })
		n.clock.Advance(time.Minute)
		n.uses(t, i)
		n.uses(t, i)
		n.wantCalls(t, 2)
	})
}
