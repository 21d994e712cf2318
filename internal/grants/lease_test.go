// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// pairOf returns two nodes over one store, and the pair of a sign-in.
func pairOf(t *testing.T) (a, b *node, first *Issued) {
	t.Helper()
	a = newNode(t)
	a.provider.strict = true
	return a, nodeOn(t, a.store, a.clock, a.provider), a.signIn(t)
}

// A provider that takes each of its refresh tokens once sees one call for each rotation,
// however many requests on however many nodes.
func TestSec_I02_OneProviderCallOverAllNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, last := pairOf(t)
		c := nodeOn(t, a.store, a.clock, a.provider)
		for round := range 5 {
			hold := make(chan struct{})
			a.provider.set(func() { a.provider.during = func() { <-hold } })
			answers := make(chan *Issued, 30)
			var wg sync.WaitGroup
			for i := range 30 {
				n := []*node{a, b, c}[i%3]
				wg.Go(func() {
					out, err := n.refresh(t, text(*last.Refresh))
					if err != nil {
						t.Errorf("round %d: %v", round, err)
						return
					}
					answers <- out
				})
			}
			synctest.Wait()
			close(hold)
			wg.Wait()
			if t.Failed() {
				return
			}
			last = <-answers
			for range 29 {
				if out := <-answers; text(*out.Refresh) != text(*last.Refresh) || text(out.Access) != text(last.Access) {
					t.Fatal("the answers differ")
				}
			}
			if a.provider.calls != round+1 {
				t.Fatalf("after %d rotations the provider was asked %d times", round+1, a.provider.calls)
			}
			a.clock.Advance(time.Hour)
		}
	})
}

// Others wait for five seconds, then say that they cannot tell. The token stays good.
func TestWaitersGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, first := pairOf(t)
		hold := make(chan struct{})
		a.provider.during = func() { <-hold }
		done := make(chan error)
		go func() {
			_, err := a.refresh(t, text(*first.Refresh))
			done <- err
		}()
		synctest.Wait()
		start := clock.System() // of the bubble, by which timers run
		_, err := b.refresh(t, text(*first.Refresh))
		wantUnknown(t, err)
		if waited := clock.System().Sub(start); waited != leasePatience {
			t.Errorf("waited for %v", waited)
		}
		close(hold)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		mustRefresh(t, b, text(*first.Refresh))
		if a.provider.calls != 1 {
			t.Errorf("%d calls", a.provider.calls)
		}
	})
}

// take puts a lease into a grant, as a node does that then dies.
func (n *node) take(t *testing.T, i *Issued) {
	t.Helper()
	rec, err := vault.Get(t.Context(), n.Vault, grantKind, i.Grant.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.lease(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
}

func TestLeaseOfADeadHolderEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, first := pairOf(t)
		a.take(t, first)
		a.clock.Advance(leaseLife)
		_, err := b.refresh(t, text(*first.Refresh))
		wantUnknown(t, err)
		a.clock.Advance(2 * time.Second)
		mustRefresh(t, b, text(*first.Refresh))
		if a.provider.calls != 1 {
			t.Errorf("%d calls", a.provider.calls)
		}
	})
}

// A clock that was set back must not turn seconds into hours.
func TestLeaseFromTheFutureIsVoid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, first := pairOf(t)
		a.take(t, first)
		a.clock.Advance(-leaseDoubt + 2*time.Second)
		_, err := b.refresh(t, text(*first.Refresh))
		wantUnknown(t, err)
		a.clock.Advance(-2 * time.Second)
		mustRefresh(t, b, text(*first.Refresh))
	})
}

// What came to nothing leaves no lease: neither an outage, nor a panic, nor an unknown
// outcome of taking it.
func TestLeaseIsGivenBack(t *testing.T) {
	t.Parallel()
	for what, fail := range map[string]func(n *node){
		"outage": func(n *node) { n.provider.fail = errors.New("502"); n.clock.Advance(5 * time.Hour) },
		"panic":  func(n *node) { n.provider.during = func() { panic("provider") } },
		"lost reply of the store": func(n *node) {
			*n = *nodeOn(t, &flaky{Store: n.store, kind: "grant", after: 1}, n.clock, n.provider)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, b, first := pairOf(t)
				fail(a)
				_, err := a.refresh(t, text(*first.Refresh))
				wantUnknown(t, err)
				if g := b.grant(t, first); g.LeaseUntil != 0 || g.Generation != 1 {
					t.Fatalf("lease %d, generation %d", g.LeaseUntil, g.Generation)
				}
				a.provider.set(func() { a.provider.fail, a.provider.during = nil, nil })
				mustRefresh(t, b, text(*first.Refresh))
			})
		})
	}
}

// Only the holder's own lease is given back.
func TestReleaseSparesOthers(t *testing.T) {
	t.Parallel()
	a, _, first := pairOf(t)
	a.take(t, first)
	name := a.grant(t, first).LeaseUntil
	a.release(t.Context(), first.Grant.String(), name-1)
	if a.grant(t, first).LeaseUntil != name {
		t.Fatal("another's lease was given back")
	}
	a.release(t.Context(), first.Grant.String(), name)
	if a.grant(t, first).LeaseUntil != 0 {
		t.Fatal("the lease stayed")
	}
}

// Two leases of one moment have different names, or the loser would give back the winner's.
func TestLeasesHaveNames(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	seen := map[int64]bool{}
	for range 100 {
		name, err := n.leaseName(n.Now())
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Unix(0, name).Sub(n.Now()); left < leaseLife || left > leaseLife+1100*time.Millisecond {
			t.Fatalf("a lease for %v", left)
		}
		seen[name] = true
	}
	if len(seen) < 99 {
		t.Errorf("%d names of 100", len(seen))
	}
}

// A change of the grant while the provider is being asked costs neither the answer nor a
// second call: the provider has already spent the token.
func TestAnswerSurvivesAConflict(t *testing.T) {
	t.Parallel()
	a, b, first := pairOf(t)
	a.provider.during = func() {
		err := b.amend(t.Context(), first.Grant.String(), func(g *grantRecord) bool {
			g.Access = nil
			return true
		})
		if err != nil {
			t.Error(err)
		}
	}
	second := mustRefresh(t, a, text(*first.Refresh))
	if a.accepts(t, first) {
		t.Fatal("the refresh undid what happened meanwhile")
	}
	a.provider.during = nil
	mustRefresh(t, b, text(*second.Refresh))
	if a.provider.calls != 2 || a.provider.last != "up-1" {
		t.Fatalf("%d calls, the last with %q", a.provider.calls, a.provider.last)
	}
}

// A revocation while the provider is being asked wins.
func TestSec_I08_RevocationDuringARefresh(t *testing.T) {
	t.Parallel()
	a, b, first := pairOf(t)
	a.provider.during = func() {
		if err := b.End(t.Context(), first.Grant, "revoked"); err != nil {
			t.Error(err)
		}
	}
	_, err := a.refresh(t, text(*first.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	if g := a.grant(t, first); g.Ended == nil || g.Provider != nil || g.Ended.Reason != "revoked" {
		t.Fatalf("the grant is %+v", g)
	}
}

// A definite no that meets a change of the grant is asked for again under the same lease.
func TestNoSurvivesAConflict(t *testing.T) {
	t.Parallel()
	a, b, first := pairOf(t)
	a.provider.fail = &provider.Ended{Reason: "invalid_grant", Cause: errors.New("disabled")}
	once := sync.OnceFunc(func() {
		if err := b.amend(t.Context(), first.Grant.String(), func(*grantRecord) bool { return true }); err != nil {
			t.Error(err)
		}
	})
	a.provider.during = once
	_, err := a.refresh(t, text(*first.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	if a.grant(t, first).Ended == nil || a.provider.calls != 2 {
		t.Fatalf("%d calls", a.provider.calls)
	}
}

// A holder that was too slow loses to the one that took over.
func TestSlowHolderIsFenced(t *testing.T) {
	t.Parallel()
	a, b, first := pairOf(t)
	a.provider.strict = false
	var second *Issued
	a.provider.during = func() {
		a.provider.set(func() { a.provider.during = nil })
		a.clock.Advance(leaseLife + 2*time.Second)
		second = mustRefresh(t, b, text(*first.Refresh))
	}
	got := mustRefresh(t, a, text(*first.Refresh))
	if text(*got.Refresh) != text(*second.Refresh) {
		t.Fatal("the slow holder rotated once more")
	}
	if a.events.count(event.Refreshed, modeGraced) != 1 {
		t.Fatal("the slow holder is not told from the fast one")
	}
}

func TestAmendLeavesTheEndedAlone(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	if err := n.End(t.Context(), first.Grant, "revoked"); err != nil {
		t.Fatal(err)
	}
	err := n.amend(t.Context(), first.Grant.String(), func(*grantRecord) bool { t.Error("amended"); return true })
	if err != nil {
		t.Fatal(err)
	}
	if err := n.amend(t.Context(), "ffffffffffffffffffffffffffffffff", func(*grantRecord) bool { return true }); err != nil {
		t.Fatal(err)
	}
	err = nodeOn(t, &flaky{Store: n.store, kind: "grant", before: 1}, n.clock, n.provider).
		amend(t.Context(), n.signIn(t).Grant.String(), func(*grantRecord) bool { return true })
	wantUnknown(t, err)
}

// A grant that goes while it is being refreshed, before or after the provider was asked, is
// a definite no.
func TestGrantGoesDuringARefresh(t *testing.T) {
	t.Parallel()
	for what, arrange := range map[string]func(n *node, gone func()) *node{
		"before the lease": func(n *node, gone func()) *node {
			return nodeOn(t, &slow{Store: n.store, before: gone}, n.clock, n.provider)
		},
		"after the answer": func(n *node, gone func()) *node { n.provider.during = gone; return n },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			first, key := n.signIn(t), n.rawGrant(t)
			n = arrange(n, func() {
				if err := n.store.Delete(t.Context(), key, store.Version{}); err != nil {
					t.Error(err)
				}
			})
			_, err := n.refresh(t, text(*first.Refresh))
			wantCode(t, err, oauth.InvalidGrant)
		})
	}
}
