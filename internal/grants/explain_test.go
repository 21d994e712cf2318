// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// A session is found by its reference, its id, its client, and each name of its person;
// and says when it began, when it was refreshed and how it ended.
func TestFind(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	issued := n.signInAs(t, ada, asking(client, resource))
	n.signInAs(t, bob, asking(otherClient, resource))
	n.clock.Advance(time.Minute)
	if _, err := n.refresh(t, text(*issued.Refresh)); err != nil {
		t.Fatal(err)
	}
	refreshed := n.clock.Now()
	n.clock.Advance(time.Hour)
	ctx := event.WithOrigin(t.Context(), event.Origin{Ref: "abcdefgh01234567"})
	if err := n.End(ctx, issued.Grant, ReasonReplay); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{
		"abcdefgh01234567", "ABCDEFGH01234567", issued.Grant.String(), client, ada.Subject, ada.ObjectID, ada.PreferredUsername, ada.Email,
	} {
		found, err := n.Find(t.Context(), what)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %d found, %v", what, len(found), err)
		}
		s := found[0]
		if s.Person != ada.Subject || s.Client != client || s.Grant != issued.Grant.String() || s.Rotations != 1 ||
			!s.Refreshed.Equal(refreshed) || !s.Created.Equal(refreshed.Add(-time.Minute)) || s.AccessTokens != 0 {
			t.Errorf("%s: %+v", what, s)
		}
		if e := s.Ended; e == nil || e.Reason != ReasonReplay || e.By != ByReuse || e.Ref != "abcdefgh01234567" || !e.Time.Equal(n.clock.Now()) {
			t.Errorf("%s: %+v", what, s.Ended)
		}
	}
	if found, err := n.Find(t.Context(), "nobody"); err != nil || len(found) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	n.clock.Advance(endedLife - time.Second)
	if found, err := n.Find(t.Context(), "abcdefgh01234567"); err != nil || len(found) != 1 {
		t.Errorf("at the end of its life: %+v, %v", found, err)
	}
	n.clock.Advance(time.Second)
	if found, err := n.Find(t.Context(), ada.Subject); err != nil || len(found) != 0 {
		t.Errorf("after its life: %+v, %v", found, err)
	}
}

// The answer to a token of an ended grant names the reference, at refresh and at the
// guard, and the record keeps no hash of a token.
func TestEndedIsExplained(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	issued := n.signInAs(t, ada, asking(client, resource))
	if _, err := n.RevokeAll(t.Context(), Selection{Client: client}); err != nil {
		t.Fatal(err)
	}
	_, refresh := n.refresh(t, text(*issued.Refresh))
	_, access := n.Access(t.Context(), text(issued.Access))
	rec, err := vault.Get(t.Context(), n.Vault, grantKind, issued.Grant.String())
	if err != nil {
		t.Fatal(err)
	}
	g := rec.Value
	if len(g.Ended.Ref) != 16 || g.Ended.By != ByCommand || g.Current != nil || g.Predecessor != nil || g.Access != nil || g.Successor != nil || g.Provider != nil {
		t.Errorf("%+v", g)
	}
	for code, err := range map[oauth.Code]error{oauth.InvalidGrant: refresh, oauth.InvalidToken: access} {
		e := oauth.AsError(err)
		if e == nil || e.Code != code || e.Ref != g.Ended.Ref || e.Description != "This sign-in has ended; reference "+g.Ended.Ref+"." {
			t.Errorf("%s: %+v", code, e)
		}
	}
}

// The provider's own reference is kept beside ours.
func TestProvidersReferenceIsKept(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	issued := n.signIn(t)
	n.provider.set(func() {
		n.provider.fail = &provider.Ended{Reason: "disabled", Reference: "trace-1", Cause: errors.New("account is disabled")}
	})
	_, err := n.refresh(t, text(*issued.Refresh))
	wantCode(t, err, oauth.InvalidGrant)
	found, err := n.Find(t.Context(), oauth.AsError(func() error { _, err := n.refresh(t, text(*issued.Refresh)); return err }()).Ref)
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if e := found[0].Ended; e.Reason != "disabled" || e.Provider != "trace-1" || e.By != ByProvider {
		t.Errorf("%+v", e)
	}
}

func TestTriggers(t *testing.T) {
	t.Parallel()
	for reason, by := range map[string]string{
		ReasonByClient: ByClient, ReasonPerson: ByCommand, ReasonClient: ByCommand, ReasonResource: ByCommand, ReasonAll: ByCommand,
		ReasonReplay: ByReuse, ReasonReuse: ByReuse, ReasonPolicy: ByPolicy, "AADSTS50057": ByProvider,
	} {
		if got := Trigger(reason); got != by {
			t.Errorf("%s: %s", reason, got)
		}
	}
}
