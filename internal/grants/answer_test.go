// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// A provider that takes each token once has replaced its token by the time the store
// fails. Where the new one were lost, the next refresh would end the session.
func TestSec_I03_AnswerSurvivesAFailedWrite(t *testing.T) {
	t.Parallel()
	for what, f := range map[string]struct{ before, after int }{
		"not written, once":       {before: 1},
		"not written for seconds": {before: 6},
		"reply lost":              {after: 1},
		"replies lost":            {after: 6},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, b, first := pairOf(t)
				shaky := &flaky{Store: a.store, kind: "grant"}
				c := nodeOn(t, shaky, a.clock, a.provider)
				a.provider.during = func() { shaky.before, shaky.after = f.before, f.after }
				_, err := c.refresh(t, text(*first.Refresh))
				wantUnknown(t, err)
				a.provider.during = nil
				second := mustRefresh(t, b, text(*first.Refresh))
				a.clock.Advance(time.Hour)
				mustRefresh(t, b, text(*second.Refresh))
			})
		})
	}
}

// The same for a check that follows use.
func TestSec_I03_CheckSurvivesAFailedWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		n.provider.strict = true
		i := n.signIn(t)
		shaky := &flaky{Store: n.store, kind: "grant"}
		m := nodeOn(t, shaky, n.clock, n.provider)
		m.terms = n.terms
		n.clock.Advance(16 * time.Minute)
		n.provider.during = func() { shaky.before = 6 }
		m.uses(t, i)
		for waiting := new(patience); waiting.wait(t.Context()); {
			synctest.Wait() // until the check has given up, too
		}
		n.provider.during = nil
		n.clock.Advance(16 * time.Minute)
		n.uses(t, i)
		n.wantCalls(t, 2)
	})
}

// A provider may replace its token and then fail to say who the person is.
func TestSec_G10_ReplacedTokenOutlivesAFailure(t *testing.T) {
	t.Parallel()
	for what, age := range map[string]time.Duration{"bridged": time.Hour, "too old": 6 * time.Hour} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, b, last := pairOf(t)
				a.clock.Advance(age)
				a.provider.anonymous = errors.New("the userinfo endpoint answered status 502")
				if out, err := a.refresh(t, text(*last.Refresh)); err == nil {
					last = out
				} else {
					wantUnknown(t, err)
				}
				a.provider.anonymous = nil
				mustRefresh(t, b, text(*last.Refresh))
			})
		})
	}
}

// A yes of the future is from a clock that was set back since. It bridges no outage.
func TestSec_G10_YesOfTheFutureBridgesNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.clock.Advance(24 * time.Hour)
	i := n.signIn(t)
	n.clock.Advance(-24 * time.Hour)
	n.provider.fail = errors.New("502")
	_, err := n.refresh(t, text(*i.Refresh))
	wantUnknown(t, err)
	n.provider.fail = nil
	if _, err := n.refresh(t, text(*i.Refresh)); err != nil && oauth.AsError(err) != nil {
		t.Fatal(err)
	}
}

// A refresh goes on when its client hangs up, and a reload that closes the store meanwhile
// would lose what the provider answers. One that began too late to hold the store is still
// served.
func TestRefreshHoldsTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		var held atomic.Int32
		n.Hold = func() func() {
			held.Add(1)
			return func() { held.Add(-1) }
		}
		first := n.signIn(t)
		n.provider.gate = make(chan struct{})
		ctx, hangUp := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := n.Refresh(ctx, n.terms, Refreshing{Client: client, Token: text(*first.Refresh)})
			done <- err
		}()
		synctest.Wait()
		hangUp()
		wantUnknown(t, <-done)
		if held.Load() != 1 {
			t.Fatalf("held %d times", held.Load())
		}
		close(n.provider.gate)
		synctest.Wait()
		if held.Load() != 0 || n.grant(t, first).Generation != 2 {
			t.Fatalf("held %d times, generation %d", held.Load(), n.grant(t, first).Generation)
		}
		n.Hold = func() func() { return nil }
		mustRefresh(t, n, text(*first.Refresh))
	})
}

// meanwhile runs something before the first write.
type meanwhile struct {
	store.Store
	once func()
}

func (m *meanwhile) Update(ctx context.Context, r store.Record, prev store.Version) error {
	if f := m.once; f != nil {
		m.once = nil
		f()
	}
	return m.Store.Update(ctx, r, prev)
}

// Two requests of one client meet on two nodes whose clocks differ by more than the grace
// time: both get the same pair, so it does not matter which one the client keeps.
func TestSec_I02_OnePairThoughClocksDiffer(t *testing.T) {
	t.Parallel()
	a := newNode(t)
	a.provider.token = "" // nobody to ask
	first := a.signIn(t)
	ahead := clock.NewFake(a.clock.Now().Add(2 * time.Minute))
	shared := &meanwhile{Store: a.store}
	b := nodeOn(t, shared, ahead, a.provider)
	var one *Issued
	shared.once = func() { one = mustRefresh(t, a, text(*first.Refresh)) }
	two := mustRefresh(t, b, text(*first.Refresh))
	if text(*one.Refresh) != text(*two.Refresh) {
		t.Error("the chain forks")
	}
	for _, kept := range []*Issued{one, two} {
		if _, err := a.refresh(t, text(*kept.Refresh)); err != nil {
			t.Fatal(err)
		}
	}
}

// A no that cannot be written at once is not forgotten: a check counts as asking, so the
// next one comes an interval later.
func TestSec_G09_NoSurvivesAFailedWrite(t *testing.T) {
	t.Parallel()
	for what, age := range map[string]time.Duration{"beside the request": 16 * time.Minute, "before the request": 31 * time.Minute} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := every(t)
				i := n.signIn(t)
				shaky := &flaky{Store: n.store, kind: "grant"}
				m := nodeOn(t, shaky, n.clock, n.provider)
				m.terms = n.terms
				n.clock.Advance(age)
				n.provider.fail = gone
				n.provider.during = func() { shaky.before = 6 }
				_, _ = m.use(t, i)
				for waiting := new(patience); waiting.wait(t.Context()); {
					synctest.Wait()
				}
				if n.grant(t, i).Ended == nil {
					t.Error("the grant goes on")
				}
				n.wantCalls(t, 1)
			})
		})
	}
}

// A holder that was away for too long shows a token that the one who took over has had
// replaced. The no to that is none to the person.
func TestSec_G10_NoToAFencedHolderEndsNothing(t *testing.T) {
	t.Parallel()
	a, b, first := pairOf(t)
	var second *Issued
	a.provider.during = func() {
		a.provider.set(func() { a.provider.during = nil })
		a.clock.Advance(leaseLife + 2*time.Second)
		second = mustRefresh(t, b, text(*first.Refresh))
	}
	got := mustRefresh(t, a, text(*first.Refresh))
	if text(*got.Refresh) != text(*second.Refresh) {
		t.Error("the slow holder got another pair")
	}
	mustRefresh(t, b, text(*second.Refresh))
}

// The same for a check that follows use.
func TestSec_G10_NoToAFencedCheckEndsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		n.provider.strict = true
		m := nodeOn(t, n.store, n.clock, n.provider)
		m.terms = n.terms
		i := n.signIn(t)
		n.clock.Advance(31 * time.Minute)
		n.provider.during = func() {
			n.provider.set(func() { n.provider.during = nil })
			n.clock.Advance(16 * time.Minute)
			if _, err := m.use(t, i); err != nil {
				t.Error(err)
			}
		}
		n.uses(t, i)
		n.wantCalls(t, 2)
		if g := n.grant(t, i); g.Ended != nil {
			t.Errorf("ended for %s", g.Ended.Reason)
		}
	})
}

// A machine that was stopped after it took the lease asks nothing when it goes on.
func TestSec_I02_LateHolderDoesNotAsk(t *testing.T) {
	t.Parallel()
	a, b, first := pairOf(t)
	stopped := &meanwhile{Store: a.store, once: func() { a.clock.Advance(leaseLife - time.Second) }}
	c := nodeOn(t, stopped, a.clock, a.provider)
	_, err := c.refresh(t, text(*first.Refresh))
	wantUnknown(t, err)
	if a.provider.calls != 0 {
		t.Errorf("%d calls", a.provider.calls)
	}
	mustRefresh(t, b, text(*first.Refresh))
}
