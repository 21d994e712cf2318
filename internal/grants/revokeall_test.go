// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var (
	ada = provider.Person{
		Subject: "tid.oid-ada", ObjectID: "oid-ada", Tenant: "tid", Name: "Ada", PreferredUsername: "Ada@Contoso.example",
		Email: "ada.lovelace@contoso.example", EmailVerified: true,
	}
	bob = provider.Person{Subject: "tid.oid-bob", ObjectID: "oid-bob", Tenant: "tid", Name: "Bob"}
)

// logins numbers the sign-ins of all tests.
var logins atomic.Uint32

// asking is a request of a client for a resource.
func asking(client, resource string) Request {
	r := request()
	r.Client, r.Resource = client, resource
	return r
}

// beginLogin takes a login to the provider.
func (n *node) beginLogin(t testing.TB, r Request) (tid [16]byte) {
	t.Helper()
	i := logins.Add(1)
	copy(tid[:], fmt.Sprintf("%016d", i))
	if _, err := n.StartLogin(t.Context(), tid, Login{Request: r, Binding: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	return tid
}

// endLogin takes it back with a person, and on to a code.
func (n *node) endLogin(t testing.TB, tid [16]byte, p provider.Person) (string, error) {
	t.Helper()
	l, err := n.TakeLogin(t.Context(), tid, []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	code, err := n.IssueCode(t.Context(), l.Request, &provider.Session{Person: p}, time.Minute)
	return code.Reveal(), err
}

func (n *node) redeem(t testing.TB, code string, r Request) (*Issued, error) {
	t.Helper()
	red := redemption(code)
	red.Client, red.Resource = r.Client, r.Resource
	return n.Redeem(t.Context(), n.terms, red)
}

// signInAs is a whole sign-in.
func (n *node) signInAs(t testing.TB, p provider.Person, r Request) *Issued {
	t.Helper()
	code, err := n.endLogin(t, n.beginLogin(t, r), p)
	if err != nil {
		t.Fatal(err)
	}
	out, err := n.redeem(t, code, r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const (
	otherClient   = "dcr_other"
	otherResource = "https://mcp.example.com/other"
)

// crowd signs two persons in with two clients at two resources.
func crowd(t testing.TB, n *node) map[string]*Issued {
	t.Helper()
	all := map[string]*Issued{}
	for who, p := range map[string]provider.Person{"ada": ada, "bob": bob} {
		for _, c := range []string{client, otherClient} {
			for _, r := range []string{resource, otherResource} {
				all[strings.Join([]string{who, c, r}, " ")] = n.signInAs(t, p, asking(c, r))
			}
		}
	}
	return all
}

// Each way ends the grants that are meant, and no others; a new sign-in works at once.
func TestRevokeAll(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sel    Selection
		means  string // part of a name in the crowd
		reason string
	}{
		"sub":               {Selection{Person: ada.Subject}, "ada ", ReasonPerson},
		"object id":         {Selection{Person: "OID-ADA"}, "ada ", ReasonPerson},
		"user name":         {Selection{Person: "ada@contoso.example"}, "ada ", ReasonPerson},
		"address":           {Selection{Person: "Ada.Lovelace@contoso.example"}, "ada ", ReasonPerson},
		"client":            {Selection{Client: otherClient}, otherClient, ReasonClient},
		"resource":          {Selection{Resource: otherResource}, otherResource, ReasonResource},
		"resource, spelled": {Selection{Resource: "HTTPS://MCP.example.com:443/other/"}, otherResource, ReasonResource},
		"all":               {Selection{All: true}, "", ReasonAll},
		"nobody":            {Selection{Person: "somebody"}, "nobody", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			all := crowd(t, n)
			want := 0
			for who := range all {
				if strings.Contains(who, c.means) {
					want++
				}
			}
			got, err := n.RevokeAll(t.Context(), c.sel)
			if err != nil || got != want {
				t.Errorf("%d ended, %v; want %d", got, err, want)
			}
			for who, issued := range all {
				meant := strings.Contains(who, c.means)
				if n.accepts(t, issued) == meant {
					t.Errorf("%s: the access token lives: %t", who, !meant)
				}
				if _, err := n.Refresh(t.Context(), n.terms, Refreshing{Client: strings.Fields(who)[1], Token: text(*issued.Refresh)}); (oauth.AsError(err) != nil) != meant {
					t.Errorf("%s: refresh: %v", who, err)
				}
			}
			if n.events.count(event.GrantEnded, c.reason) != want || int(n.evicted.Load()) != want {
				t.Errorf("%d events, %d evictions", n.events.count(event.GrantEnded, c.reason), n.evicted.Load())
			}
			for _, issued := range crowd(t, n) {
				if !n.accepts(t, issued) {
					t.Error("a new sign-in does not work")
				}
			}
			if got, err := n.RevokeAll(t.Context(), c.sel); err != nil || got != want {
				t.Errorf("again: %d ended, %v", got, err)
			}
		})
	}
}

func TestSelectionCheck(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, sel := range []Selection{{}, {Person: "a", Client: "b"}, {All: true, Resource: resource}, {Resource: "mcp"}} {
		if _, err := n.RevokeAll(t.Context(), sel); err == nil {
			t.Errorf("%+v is accepted", sel)
		}
	}
	if n.events.count(event.RevocationBegun, ReasonAll) != 0 {
		t.Error("something was revoked")
	}
}

// H14: a sign-in that was under way when its person, client or resource was revoked comes to
// nothing, wherever it was; the next one works.
func TestSec_H14_SignInUnderWay(t *testing.T) {
	t.Parallel()
	for name, sel := range map[string]Selection{
		"sub": {Person: ada.Subject}, "object id": {Person: ada.ObjectID}, "user name": {Person: ada.PreferredUsername},
		"client": {Client: client}, "resource": {Resource: resource}, "all": {All: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			r := asking(client, resource)
			pending := n.beginLogin(t, r)
			code, err := n.endLogin(t, n.beginLogin(t, r), ada)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := n.RevokeAll(t.Context(), sel); err != nil {
				t.Fatal(err)
			}
			if _, err := n.endLogin(t, pending, ada); !errors.Is(err, ErrSignedOut) {
				t.Errorf("the pending login: %v", err)
			}
			_, err = n.redeem(t, code, r)
			wantCode(t, err, oauth.InvalidGrant)
			if !n.accepts(t, n.signInAs(t, ada, r)) {
				t.Error("a new sign-in does not work")
			}
			others := asking(otherClient, otherResource)
			if !sel.All && !n.accepts(t, n.signInAs(t, bob, others)) {
				t.Error("another's sign-in does not work")
			}
		})
	}
}

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

// Many clients are revoked one after the other; the record stays small and the latest
// count.
func TestMarksAreBounded(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := asking("client-299", resource)
	code, err := n.endLogin(t, n.beginLogin(t, r), ada)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if _, err := n.RevokeAll(t.Context(), Selection{Client: fmt.Sprintf("client-%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	rec, err := vault.Get(t.Context(), n.Vault, epochKind, epochID)
	if err != nil || len(rec.Value.Marks) != maxMarks {
		t.Errorf("%d marks, %v", len(rec.Value.Marks), err)
	}
	_, err = n.redeem(t, code, r)
	wantCode(t, err, oauth.InvalidGrant)
}

// Before anything was revoked the question costs one read, and no write.
func TestStandsIsOneRead(t *testing.T) {
	t.Parallel()
	n, c, issued := counted(t)
	if _, err := n.refresh(t, text(*issued.Refresh)); err != nil || c.gets.Load() != 2 {
		t.Errorf("%d reads, %v; want one of the grant and one of the numbers", c.gets.Load(), err)
	}
}

// Two revocations at once are both in force.
func TestRevocationsAtOnce(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first, second := n.signInAs(t, ada, asking(client, resource)), n.signInAs(t, bob, asking(otherClient, resource))
	var all sync.WaitGroup
	for _, sel := range []Selection{{Person: ada.Subject}, {Client: otherClient}, {Person: ada.Subject}} {
		all.Go(func() {
			if _, err := nodeOn(t, n.store, n.clock, n.provider).RevokeAll(t.Context(), sel); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n.accepts(t, first) || n.accepts(t, second) {
		t.Error("a grant lives")
	}
}
