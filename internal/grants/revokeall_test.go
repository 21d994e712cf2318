// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
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

// An access token that was revoked alone is not given again to whoever lost the answer.
func TestRevokedAccessTokenIsNotRepeated(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.signIn(t)
	second, err := n.refresh(t, text(*first.Refresh))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := n.Revoke(t.Context(), client, text(second.Access)); err != nil || done != RevokedAccess {
		t.Fatal(done, err)
	}
	again, err := n.refresh(t, text(*first.Refresh))
	if err != nil {
		t.Fatal(err)
	}
	if n.accepts(t, second) || !n.accepts(t, again) || text(*again.Refresh) != text(*second.Refresh) {
		t.Error("the answer holds the revoked token, or another refresh token")
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
