// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// after calls a function once, after a write of one kind.
type after struct {
	store.Store
	kind store.Kind
	once sync.Once
	do   func()
}

func (a *after) Create(ctx context.Context, r store.Record) error {
	err := a.Store.Create(ctx, r)
	if r.Kind == a.kind {
		a.once.Do(a.do)
	}
	return err
}

func (a *after) Update(ctx context.Context, r store.Record, prev store.Version) error {
	err := a.Store.Update(ctx, r, prev)
	if r.Kind == a.kind {
		a.once.Do(a.do)
	}
	return err
}

// H14: wherever a revocation falls between the steps of an exchange or a refresh on another
// node, one of the two sees the other.
func TestSec_H14_RevocationBetweenTheSteps(t *testing.T) {
	t.Parallel()
	for _, step := range []store.Kind{"code", "grant", "epoch", "person"} {
		for _, surface := range []string{"exchange", "refresh"} {
			t.Run(surface+" and "+string(step), func(t *testing.T) {
				t.Parallel()
				a := newNode(t)
				slow := &after{Store: a.store}
				b := nodeOn(t, slow, a.clock, a.provider)
				r := asking(client, resource)
				var issued *Issued
				var err error
				exchange := func() {
					code, cerr := a.endLogin(t, a.beginLogin(t, r), ada)
					if cerr != nil {
						t.Fatal(cerr)
					}
					act := func(n *node) { issued, err = n.redeem(t, code, r) }
					if surface == "refresh" {
						act(a)
						token := text(*issued.Refresh)
						act = func(n *node) { issued, err = n.refresh(t, token) }
					}
					// A step of the exchange, then the whole revocation; or a step of the revocation,
					// then the whole exchange.
					if step == "code" || step == "grant" {
						slow.kind, slow.do = step, func() {
							if _, err := a.RevokeAll(t.Context(), Selection{Person: ada.Subject}); err != nil {
								t.Error(err)
							}
						}
						act(b)
						return
					}
					slow.kind, slow.do = step, func() { act(a) }
					if _, err := b.RevokeAll(t.Context(), Selection{Person: ada.Subject}); err != nil {
						t.Error(err)
					}
				}
				exchange()
				if surface == "refresh" && step == "code" {
					return // a refresh has no such step
				}
				if err == nil && a.accepts(t, issued) {
					t.Error("the grant outlived the revocation")
				}
				if err != nil {
					wantCode(t, err, oauth.InvalidGrant)
				}
			})
		}
	}
}

// A command that is cut off after its first write has ended nothing, and yet nothing
// survives its next refresh.
func TestRevocationIsCutOff(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	issued := n.signInAs(t, ada, asking(client, resource))
	lists := &noList{Store: n.store}
	if _, err := nodeOn(t, lists, n.clock, n.provider).RevokeAll(t.Context(), Selection{Person: ada.Subject}); err == nil {
		t.Fatal("the listing did not fail")
	}
	if !n.accepts(t, issued) {
		t.Fatal("it was not cut off")
	}
	_, err := n.refresh(t, text(*issued.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	if n.accepts(t, issued) || n.events.count(event.GrantEnded, ReasonPerson) != 1 {
		t.Error("the grant lives")
	}
}

type noList struct{ store.Store }

func (noList) List(context.Context, store.Query) (store.Page, error) {
	return store.Page{}, errFlaky
}

// Numbers are compared, not clocks: a sign-in on a node whose clock is a minute ahead does not
// escape, and one on a node whose clock is a minute behind works.
func TestRevocationUnderClockSteps(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := asking(client, resource)
	for _, step := range []time.Duration{time.Minute, -time.Minute} {
		other := nodeOn(t, n.store, clock.NewFake(n.clock.Now().Add(step)), n.provider)
		code, err := other.endLogin(t, other.beginLogin(t, r), ada)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.RevokeAll(t.Context(), Selection{Person: ada.Subject}); err != nil {
			t.Fatal(err)
		}
		_, err = other.redeem(t, code, r)
		wantCode(t, err, oauth.InvalidGrant)
		if !n.accepts(t, other.signInAs(t, ada, r)) {
			t.Errorf("with a step of %v a new sign-in does not work", step)
		}
		// The revocation comes from a node whose clock went back.
		if _, err := other.RevokeAll(t.Context(), Selection{All: true}); err != nil {
			t.Fatal(err)
		}
		again := n.signInAs(t, ada, r)
		if got, err := other.RevokeAll(t.Context(), Selection{Client: client}); err != nil || got != 1 || n.accepts(t, again) {
			t.Errorf("with a step of %v: %d, %v", step, got, err)
		}
	}
}

// Where the record with the numbers is lost, later revocations still end what is there.
func TestRevocationAfterALostNumber(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for range 3 {
		if _, err := n.RevokeAll(t.Context(), Selection{All: true}); err != nil {
			t.Fatal(err)
		}
	}
	issued := n.signInAs(t, ada, asking(client, resource))
	if err := vault.DeleteID(t.Context(), n.Vault, epochKind, epochID); err != nil {
		t.Fatal(err)
	}
	n.clock.Advance(time.Second)
	if got, err := n.RevokeAll(t.Context(), Selection{Person: ada.Subject}); err != nil || got != 1 || n.accepts(t, issued) {
		t.Errorf("%d ended, %v", got, err)
	}
}

// The same where a failover has brought an older state of it back.
func TestRevocationAfterARolledBackNumber(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	if _, err := n.RevokeAll(t.Context(), Selection{All: true}); err != nil {
		t.Fatal(err)
	}
	old, err := vault.Get(t.Context(), n.Vault, epochKind, epochID)
	if err != nil {
		t.Fatal(err)
	}
	before := old.Value
	for range 3 {
		if _, err := n.RevokeAll(t.Context(), Selection{All: true}); err != nil {
			t.Fatal(err)
		}
	}
	issued := n.signInAs(t, ada, asking(client, resource))
	if old, err = vault.Get(t.Context(), n.Vault, epochKind, epochID); err == nil {
		old.Value = before
		err = vault.Update(t.Context(), n.Vault, epochKind, old)
	}
	if err != nil {
		t.Fatal(err)
	}
	n.clock.Advance(time.Second)
	if got, err := n.RevokeAll(t.Context(), Selection{Person: ada.Subject}); err != nil || got != 1 || n.accepts(t, issued) {
		t.Errorf("%d ended, %v", got, err)
	}
}

// beforeList calls a function once, before the first listing.
type beforeList struct {
	store.Store
	once sync.Once
	do   func()
}

func (b *beforeList) List(ctx context.Context, q store.Query) (store.Page, error) {
	b.once.Do(b.do)
	return b.Store.List(ctx, q)
}

// Whoever signs in while the command is still at work stays signed in.
func TestNewSignInDuringRevocation(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.signInAs(t, ada, asking(client, resource))
	var issued *Issued
	other := nodeOn(t, &beforeList{Store: n.store, do: func() { issued = n.signInAs(t, ada, asking(client, resource)) }}, n.clock, n.provider)
	if got, err := other.RevokeAll(t.Context(), Selection{All: true}); err != nil || got != 1 || !n.accepts(t, issued) {
		t.Errorf("%d ended, %v", got, err)
	}
}
