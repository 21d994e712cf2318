// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

func TestRedeem(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	out := n.signIn(t)
	if out.Refresh == nil || out.Scopes.String() != "mcp read offline_access" {
		t.Fatalf("issued %+v", out)
	}
	a, err := n.Access(t.Context(), text(out.Access))
	if err != nil {
		t.Fatal(err)
	}
	if a.Client != client || a.Person.Subject != "tid.oid" || a.Person.Roles[0] != "Reader" || a.Resource != resource {
		t.Fatalf("access %+v", a)
	}
	if want := n.clock.Now().Add(time.Hour); !a.Expires.Equal(want) {
		t.Fatalf("expires %v, want %v", a.Expires, want)
	}
	n.clock.Advance(time.Hour)
	if n.accepts(t, out) {
		t.Fatal("an access token outlived its life")
	}
}

func TestRedeemWithoutRefresh(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	r := redemption(n.code(t))
	r.Refreshable, r.RedirectURI, r.Resource = false, nil, ""
	out, err := n.Redeem(t.Context(), n.terms, r)
	if err != nil || out.Refresh != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	if !out.GrantExpires.Equal(out.Expires) {
		t.Fatal("a grant that cannot be refreshed should end with its access token")
	}
}

func TestSec_C02_WrongVerifierKillsTheCode(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	code := n.code(t)
	for _, malformed := range []string{"", "short", verifier + "=", strings.Repeat("é", 43)} {
		r := redemption(code)
		r.Verifier = malformed
		_, err := n.Redeem(t.Context(), n.terms, r)
		wantCode(t, err, oauth.InvalidRequest)
	}
	r := redemption(code)
	r.Verifier = strings.Repeat("x", 43)
	_, err := n.Redeem(t.Context(), n.terms, r)
	wantCode(t, err, oauth.InvalidGrant)
	_, err = n.Redeem(t.Context(), n.terms, redemption(code))
	wantCode(t, err, oauth.InvalidGrant)
}

func TestSec_C04_ReplayRevokesTheGrant(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	code := n.code(t)
	out, err := n.Redeem(t.Context(), n.terms, redemption(code))
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Redeem(t.Context(), n.terms, redemption(code))
	wantCode(t, err, oauth.InvalidGrant)
	if n.accepts(t, out) {
		t.Fatal("the first tokens survived a replay of their code")
	}
	_, err = n.refresh(t, text(*out.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	if n.events.count(event.CodeReplayed, "") != 1 || n.evicted.Load() != 1 {
		t.Fatal("a replay is to be reported and evicted")
	}
}

// A thief who redeems a code and then kills it by a wrong verifier gains nothing: the
// owner's own attempt still ends the thief's grant.
func TestSec_C04_KillingAUsedCodeHidesNoReplay(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	code := n.code(t)
	stolen, err := n.Redeem(t.Context(), n.terms, redemption(code))
	if err != nil {
		t.Fatal(err)
	}
	wrong := redemption(code)
	wrong.Verifier = strings.Repeat("x", 43)
	_, err = n.Redeem(t.Context(), n.terms, wrong)
	wantCode(t, err, oauth.InvalidGrant)
	if !n.accepts(t, stolen) {
		t.Fatal("a wrong verifier revoked the grant")
	}
	_, err = n.Redeem(t.Context(), n.terms, redemption(code))
	wantCode(t, err, oauth.InvalidGrant)
	if n.accepts(t, stolen) {
		t.Fatal("the stolen grant survived the owner's attempt")
	}
}

// Whoever saw a used code must not be able to log its owner out with it.
func TestSec_C05_OnlyAValidReplayRevokes(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	code := n.code(t)
	out, err := n.Redeem(t.Context(), n.terms, redemption(code))
	if err != nil {
		t.Fatal(err)
	}
	other := redemption(code)
	other.Client = "dcr_other"
	noVerifier := redemption(code)
	noVerifier.Verifier = strings.Repeat("x", 43)
	elsewhere := redemption(code)
	uri := "https://client.example/other"
	elsewhere.RedirectURI = &uri
	for name, r := range map[string]Redemption{"client": other, "verifier": noVerifier, "redirect": elsewhere} {
		_, err := n.Redeem(t.Context(), n.terms, r)
		wantCode(t, err, oauth.InvalidGrant)
		if !n.accepts(t, out) {
			t.Fatalf("a replay with another %s revoked the grant", name)
		}
	}
	n.clock.Advance(time.Minute)
	_, err = n.Redeem(t.Context(), n.terms, redemption(code))
	wantCode(t, err, oauth.InvalidGrant)
	if !n.accepts(t, out) {
		t.Fatal("a replay after the code's life revoked the grant")
	}
}

func TestSec_C06_OneWinner(t *testing.T) {
	t.Parallel()
	a := newNode(t)
	b := nodeOn(t, a.store, a.clock, a.provider)
	code := a.code(t)
	var wins atomic.Int32
	var won atomic.Pointer[Issued]
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 64 {
		n := []*node{a, b}[i%2]
		wg.Go(func() {
			<-start
			out, err := n.Redeem(t.Context(), n.terms, redemption(code))
			if err == nil {
				wins.Add(1)
				won.Store(out)
				return
			}
			if oauth.AsError(err) == nil {
				t.Errorf("unknown outcome: %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
	if wins.Load() != 1 {
		t.Fatalf("%d requests redeemed one code", wins.Load())
	}
}

func TestSec_C08_MistakesDoNotBurnTheCode(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	code := n.code(t)
	wrong := redemption(code)
	wrong.Resource = "https://mcp.example.com/other"
	_, err := n.Redeem(t.Context(), n.terms, wrong)
	wantCode(t, err, oauth.InvalidTarget)
	uri := callback + "/"
	wrong = redemption(code)
	wrong.RedirectURI = &uri
	_, err = n.Redeem(t.Context(), n.terms, wrong)
	wantCode(t, err, oauth.InvalidGrant)
	wrong = redemption(code)
	wrong.Resource = resource + "/"
	if _, err = n.Redeem(t.Context(), n.terms, wrong); err != nil {
		t.Fatalf("the slash variant of the resource was refused: %v", err)
	}
}

func TestCodeExpires(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	code := n.code(t)
	n.clock.Advance(time.Minute)
	_, err := n.Redeem(t.Context(), n.terms, redemption(code))
	wantCode(t, err, oauth.InvalidGrant)
}

func TestSec_H03_TokensAreNotInterchangeable(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	code := n.code(t)
	out := n.signIn(t)
	access, refresh := text(out.Access), text(*out.Refresh)
	for _, bearer := range []string{refresh, code} {
		_, err := n.Access(t.Context(), bearer)
		wantCode(t, err, oauth.InvalidToken)
	}
	for _, r := range []string{access, code} {
		_, err := n.refresh(t, r)
		wantCode(t, err, oauth.InvalidGrant)
	}
	for _, c := range []string{access, refresh} {
		_, err := n.Redeem(t.Context(), n.terms, redemption(c))
		wantCode(t, err, oauth.InvalidGrant)
	}
}

// A crash or a lost reply after the code was marked as used must lose nothing: the same
// request, sent again, still becomes the one grant.
func TestRedeemSurvivesFaults(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*flaky{
		"consume lost before": {kind: "code", before: 1},
		"consume lost after":  {kind: "code", after: 1},
		"grant lost before":   {kind: "grant", before: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			code := n.code(t)
			f.Store = n.store
			n = nodeOn(t, f, n.clock, n.provider)
			_, err := n.Redeem(t.Context(), n.terms, redemption(code))
			wantUnknown(t, err)
			out, err := n.Redeem(t.Context(), n.terms, redemption(code))
			if err != nil {
				t.Fatalf("second try: %v", err)
			}
			if !n.accepts(t, out) {
				t.Fatal("the tokens are not valid")
			}
		})
	}
}
