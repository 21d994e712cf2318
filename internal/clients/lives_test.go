// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"errors"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

const (
	publicBody       = `{"redirect_uris":["https://a.example/"],"client_name":"P"}`
	confidentialBody = `{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"client_secret_post"}`
)

func TestUnusedRegistrationsEnd(t *testing.T) {
	t.Parallel()
	for body, life := range map[string]time.Duration{publicBody: 7 * day, confidentialBody: day} {
		w := newWorld(t)
		id := w.register(t, body).ClientID
		if c := w.find(t, id); c == nil || !c.Expires.Equal(start.Add(life)) {
			t.Fatalf("%s: %+v", body, c)
		}
		w.clock.Advance(life - time.Second)
		if w.find(t, id) == nil {
			t.Errorf("%s: gone a second too early", body)
		}
		w.clock.Advance(time.Second)
		if w.find(t, id) != nil {
			t.Errorf("%s: lives too long", body)
		}
		f := form("client_id", id)
		_, err := w.Authenticate(t.Context(), rules, tokenRequest(f), f)
		wantNo(t, "expired", err, oauth.InvalidClient, 401)
	}
}

func TestPublicClientComesBackUnderItsID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register(t, publicBody)
	w.clock.Advance(30 * day)
	again := w.register(t, publicBody)
	if again.ClientID != first.ClientID || again.ClientIDIssuedAt == first.ClientIDIssuedAt || w.find(t, again.ClientID) == nil {
		t.Errorf("%s and %s", toJSON(t, first), toJSON(t, again))
	}
}

// TestRegisteringAgainKeepsAlive: whoever registers is about to sign in, so the shared
// record must not end under their feet; yet it is written at most daily.
func TestRegisteringAgainKeepsAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, publicBody).ClientID
	for range 20 {
		w.clock.Advance(6 * time.Hour)
		w.register(t, publicBody)
		if c := w.find(t, id); c.Expires.Sub(w.clock.Now()) < 6*day {
			t.Fatalf("ends at %v, now %v", c.Expires, w.clock.Now())
		}
	}
	if n := w.store.updates.Load(); n < 4 || n > 5 {
		t.Errorf("%d writes in 5 days", n)
	}
}

func TestUsedSlides(t *testing.T) {
	t.Parallel()
	for _, body := range []string{publicBody, confidentialBody} {
		w := newWorld(t)
		id := w.register(t, body).ClientID
		w.store.reset()
		for range 24 {
			if err := w.Used(t.Context(), w.find(t, id), w.clock.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if c := w.find(t, id); c.Expires.Sub(w.clock.Now()) < 90*day {
				t.Fatalf("ends at %v", c.Expires)
			}
			w.clock.Advance(4 * time.Hour)
		}
		if n := w.store.updates.Load(); n < 4 || n > 5 {
			t.Errorf("%d writes in 4 days", n)
		}
		w.clock.Advance(91 * day)
		if w.find(t, id) != nil {
			t.Error("lives 91 days without use")
		}
	}
}

func TestUsedLivesAsLongAsItsGrants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, publicBody).ClientID
	w.store.reset()
	for range 100 { // a year of grants, as each exchange makes them
		until := w.clock.Now().Add(365 * day)
		if err := w.Used(t.Context(), w.find(t, id), until); err != nil {
			t.Fatal(err)
		}
		if c := w.find(t, id); c.Expires.Before(until) {
			t.Fatalf("ends at %v, its grant at %v", c.Expires, until)
		}
		w.clock.Advance(time.Hour)
	}
	if n := w.store.updates.Load(); n > 5 {
		t.Errorf("%d writes in 100 hours", n)
	}
	// Registering again must not shorten it.
	w.register(t, publicBody)
	if c := w.find(t, id); c.Expires.Sub(w.clock.Now()) < 360*day {
		t.Errorf("ends at %v", c.Expires)
	}
}

func TestUsedStatic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	with := Rules{Static: []Static{{ID: "app", Secrets: []secret.String{secret.New("s")}}}}
	c, err := w.Find(t.Context(), with, "app")
	if err != nil {
		t.Fatal(err)
	}
	w.store.fail.Store(true)
	if err := w.Used(t.Context(), c, start.Add(day)); err != nil {
		t.Error(err)
	}
}

func TestUsedRaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, publicBody).ClientID
	mine, theirs := w.find(t, id), w.find(t, id)
	w.store.beforeUpdate = func() {
		if err := w.Used(t.Context(), theirs, start); err != nil {
			t.Error(err)
		}
	}
	far := start.Add(200 * day)
	if err := w.Used(t.Context(), mine, far); err != nil {
		t.Fatal(err)
	}
	if c := w.find(t, id); c.Expires.Before(far) {
		t.Errorf("ends at %v", c.Expires)
	}

	gone := w.find(t, id)
	w.clock.Advance(2 * day)
	if err := vault.DeleteID(t.Context(), w.vault, Kind, id); err != nil {
		t.Fatal(err)
	}
	wantNo(t, "deleted meanwhile", w.Used(t.Context(), gone, far.Add(2*day)), oauth.InvalidClient, 401)

	w.register(t, publicBody)
	c := w.find(t, id)
	w.store.fail.Store(true)
	if err := w.Used(t.Context(), c, far); !errors.Is(err, errDown) || oauth.AsError(err) != nil {
		t.Errorf("store down: %v", err)
	}
}
