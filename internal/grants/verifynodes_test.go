// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// Over all nodes the provider is asked at most once in an interval, whatever comes
// together, and a provider that accepts each of its tokens once is never shown an old one.
func TestSec_G11_OneCheckOverAllNodes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			a := every(t)
			a.provider.strict = true
			a.provider.during = func() { <-time.After(300 * time.Millisecond) }
			b := nodeOn(t, a.store, a.clock, a.provider)
			a.terms.Policy.Lifetimes.Access = 24 * time.Hour
			b.terms.Policy = a.terms.Policy
			random := rand.New(rand.NewPCG(seed, 1))
			pair, begun := a.signIn(t), a.clock.Now()
			var last []time.Duration // of the calls, after begun
			calls := 0
			for range 60 {
				var wg sync.WaitGroup
				now := pair
				key := a.key(t, now)
				for _, n := range []*node{a, b, a, b} {
					wg.Go(func() {
						if _, err := n.use(t, now); err != nil {
							t.Errorf("an access token in use: %v", err)
						}
					})
					if random.IntN(6) == 0 {
						wg.Go(func() {
							if err := n.AliveWith(t.Context(), n.terms, now.Grant, key); err != nil {
								t.Errorf("an open stream: %v", err)
							}
						})
					}
				}
				if random.IntN(8) == 0 {
					wg.Go(func() {
						next, err := b.refresh(t, text(*now.Refresh))
						if err != nil {
							t.Errorf("refresh: %v", err)
							return
						}
						pair = next
					})
				}
				wg.Wait()
				<-time.After(10 * time.Second) // what runs beside the requests ends
				a.provider.set(func() {
					if a.provider.calls > calls+1 {
						t.Errorf("%d calls at once", a.provider.calls-calls)
					}
					if a.provider.calls > calls {
						last = append(last, a.clock.Now().Sub(begun))
					}
					calls = a.provider.calls
				})
				a.clock.Advance(time.Duration(1+random.IntN(10)) * time.Minute)
			}
			for i := 1; i < len(last); i++ {
				if last[i]-last[i-1] < 15*time.Minute {
					t.Errorf("calls at %v", last)
				}
			}
			if len(last) < 5 || a.grant(t, pair).Ended != nil {
				t.Errorf("calls at %v, %+v", last, a.grant(t, pair).Ended)
			}
		})
	}
}

// key is the data key that a stream keeps.
func (n *node) key(t testing.TB, i *Issued) seal.Key {
	t.Helper()
	a, err := n.Access(t.Context(), text(i.Access))
	if err != nil {
		t.Fatal(err)
	}
	key, gen, err := n.Key(text(i.Access), a.Holder)
	if err != nil || gen != i.Access.Gen {
		t.Fatalf("generation %d: %v", gen, err)
	}
	return key
}

// A session that only listens is asked about by what its stream keeps, and the end of it
// is seen on the node where the stream is, even if another one found out.
func TestSec_G09_StreamsAreVerified(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := every(t)
		b := nodeOn(t, a.store, a.clock, a.provider)
		b.terms.Policy.Verify = a.terms.Policy.Verify
		i := a.signIn(t)
		key := a.key(t, i)
		a.clock.Advance(15*time.Minute - time.Second)
		alive := func(n *node) error {
			err := n.AliveWith(t.Context(), n.terms, i.Grant, key)
			synctest.Wait()
			return err
		}
		if err := alive(a); err != nil {
			t.Fatal(err)
		}
		a.wantCalls(t, 0)
		a.clock.Advance(time.Second)
		if err := alive(a); err != nil {
			t.Fatal(err)
		}
		a.wantCalls(t, 1)
		a.provider.set(func() { a.provider.fail = gone })
		a.provider.during = func() { <-time.After(300 * time.Millisecond) }
		a.clock.Advance(15 * time.Minute)
		// Both look at their streams while one of them is asking.
		var wg sync.WaitGroup
		for _, n := range []*node{a, b} {
			wg.Go(func() {
				if err := n.AliveWith(t.Context(), n.terms, i.Grant, key); err != nil {
					t.Errorf("nothing is known yet: %v", err)
				}
			})
		}
		wg.Wait()
		<-time.After(time.Second)
		a.wantCalls(t, 2)
		if a.evicted.Load() == 0 || b.evicted.Load() == 0 {
			t.Errorf("%d and %d evictions", a.evicted.Load(), b.evicted.Load())
		}
		wantCode(t, alive(b), oauth.InvalidToken)
	})
}

// A stream whose data key is not the grant's lives no longer than what can be checked.
func TestStreamsThatCannotBeVerified(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		n.terms.Policy.Lifetimes.Access = 24 * time.Hour
		i := n.signIn(t)
		other, err := tokens.NewDataKey(n.Rand)
		if err != nil {
			t.Fatal(err)
		}
		for name, key := range map[string]seal.Key{"none": {}, "another": other} {
			alive := func() error { return n.AliveWith(t.Context(), n.terms, i.Grant, key) }
			n.clock.Advance(29 * time.Minute)
			if err := alive(); err != nil {
				t.Errorf("%s, 29 minutes: %v", name, err)
			}
			n.clock.Advance(time.Minute)
			wantCode(t, alive(), oauth.InvalidToken)
			// The use of a token is a check, and then the stream is as good as before.
			n.uses(t, i)
			if err := alive(); err != nil {
				t.Errorf("%s, after a check: %v", name, err)
			}
		}
		n.provider.fail = errAway
		n.clock.Advance(31 * time.Minute)
		n.uses(t, i)
		if err := n.AliveWith(t.Context(), n.terms, i.Grant, seal.Key{}); err != nil {
			t.Errorf("in an outage: %v", err)
		}
		n.terms.Policy.Verify = provider.Verification{}
		n.clock.Advance(time.Hour)
		if err := n.AliveWith(t.Context(), n.terms, i.Grant, seal.Key{}); err != nil {
			t.Errorf("where nobody asks: %v", err)
		}
	})
}

// Access tokens from before checks followed use cannot be checked: they serve for two
// intervals, then the client needs the newer one.
func TestTokensOfAnotherSetting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		i := n.signIn(t)
		n.verifyEvery(15 * time.Minute)
		n.clock.Advance(29 * time.Minute)
		n.uses(t, i)
		n.wantCalls(t, 0)
		n.clock.Advance(time.Minute)
		_, err := n.use(t, i)
		wantCode(t, err, oauth.InvalidToken)
		if n.grant(t, i).Ended != nil {
			t.Error("the grant has ended")
		}
		next, err := n.refresh(t, text(*i.Refresh))
		if err != nil {
			t.Fatal(err)
		}
		n.wantCalls(t, 1)
		n.uses(t, next)
		// The refresh was a check for the old one as well.
		n.uses(t, i)
		// With another setting again nobody asks by use.
		n.terms.Policy.Verify = provider.Verification{}
		n.clock.Advance(40 * time.Minute)
		if a := n.uses(t, next); !a.Until.IsZero() {
			t.Errorf("until %v", a.Until)
		}
		n.wantCalls(t, 1)
	})
}

// With never, and where the provider gave nothing, there is no token of the provider, and
// nobody is asked.
func TestNothingToAskWith(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*node){
		"never":            func(n *node) { n.terms.Policy.Verify.Never = true },
		"no refresh token": func(n *node) { n.verifyEvery(15 * time.Minute); n.provider.token = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				change(n)
				i := n.signIn(t)
				if g := n.grant(t, i); g.Provider != nil || len(g.Access[0].Wrap) > 0 {
					t.Errorf("kept %+v", g.Provider)
				}
				n.clock.Advance(59 * time.Minute)
				n.uses(t, i)
				if err := n.AliveWith(t.Context(), n.terms, i.Grant, seal.Key{}); err != nil {
					t.Error(err)
				}
				next, err := n.refresh(t, text(*i.Refresh))
				if err != nil || n.grant(t, next).Provider != nil {
					t.Errorf("%v, kept %+v", err, n.grant(t, next).Provider)
				}
				n.wantCalls(t, 0)
			})
		})
	}
}

// A setting of never forgets at the next refresh what an earlier one kept.
func TestNeverForgets(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	i := n.signIn(t)
	n.terms.Policy.Verify.Never = true
	next, err := n.refresh(t, text(*i.Refresh))
	if err != nil {
		t.Fatal(err)
	}
	if g := n.grant(t, next); g.Provider != nil || g.PredecessorWrap != nil {
		t.Errorf("kept %+v", g)
	}
	n.wantCalls(t, 0)
}

// What the lease protects is written by its holder alone: one who was so slow that another
// took over writes nothing.
func TestSec_G11_SlowCheckIsFencedOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		i := n.signIn(t)
		n.clock.Advance(16 * time.Minute)
		n.provider.during = func() {
			err := n.amend(t.Context(), i.Grant.String(), func(g *grantRecord) bool {
				g.LeaseUntil++ // somebody else's
				return true
			})
			if err != nil {
				t.Error(err)
			}
		}
		before := n.grant(t, i)
		n.uses(t, i)
		n.wantCalls(t, 1)
		after := n.grant(t, i)
		if after.LastYes != before.LastYes || string(after.Provider.Sealed) != string(before.Provider.Sealed) || after.LeaseUntil == 0 {
			t.Errorf("a holder of no lease wrote %+v", after)
		}
	})
}

// The end of a grant is written even when the grant changed while the provider was asked.
func TestNoIsWrittenOverChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		i := n.signIn(t)
		n.clock.Advance(31 * time.Minute)
		n.provider.fail = gone
		n.provider.during = func() {
			if err := n.amend(t.Context(), i.Grant.String(), func(*grantRecord) bool { return true }); err != nil {
				t.Error(err)
			}
		}
		_, err := n.use(t, i)
		wantCode(t, err, oauth.InvalidToken)
		if n.grant(t, i).Ended == nil {
			t.Error("the grant goes on")
		}
	})
}

// The end of a grant is written even when the store does not answer at once.
func TestSec_I08_NoIsWrittenAfterAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := every(t)
		faulty := &flaky{Store: a.store, kind: "grant"}
		n := nodeOn(t, faulty, a.clock, a.provider)
		n.terms = a.terms
		i := n.signIn(t)
		n.clock.Advance(31 * time.Minute)
		n.provider.fail = gone
		n.provider.during = func() {
			faulty.mu.Lock()
			defer faulty.mu.Unlock()
			faulty.before = 3
		}
		_, err := n.use(t, i)
		wantCode(t, err, oauth.InvalidToken)
		n.wantCalls(t, 1)
		if n.grant(t, i).Ended == nil {
			t.Error("the grant goes on")
		}
	})
}

// A check keeps the data key, so whoever could open the provider's token still can.
func TestCheckKeepsTheDataKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := every(t)
		i := n.signIn(t)
		key := n.key(t, i)
		n.clock.Advance(16 * time.Minute)
		n.uses(t, i)
		token, err := n.openProvider(n.grant(t, i), i.Grant, key)
		if err != nil || !token.Equal(secret.New("up-1")) {
			t.Errorf("%v", err)
		}
		if !n.key(t, i).Equal(key) {
			t.Error("the data key is another")
		}
		rec, err := vault.Get(t.Context(), n.Vault, grantKind, i.Grant.String())
		if err != nil {
			t.Fatal(err)
		}
		if dek, err := n.dataKey(&rec.Value, *i.Refresh); err != nil || !dek.Equal(key) {
			t.Errorf("the refresh token opens another key: %v", err)
		}
	})
}

func TestKeyNeedsTokenAndHolder(t *testing.T) {
	t.Parallel()
	n := every(t)
	one, two := n.signIn(t), n.signIn(t)
	a, err := n.Access(t.Context(), text(one.Access))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"another token": {text(two.Access), a.Holder},
		"no token":      {"", a.Holder},
		"no holder":     {text(one.Access), ""},
		"half a holder": {text(one.Access), a.Holder[:20]},
		"refresh token": {text(*one.Refresh), a.Holder},
	} {
		if _, _, err := n.Key(c[0], c[1]); err == nil {
			t.Errorf("%s opens the key", name)
		}
	}
}
