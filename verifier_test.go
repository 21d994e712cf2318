// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// After an account is disabled every node denies it within the interval and cuts its
// streams, although the client neither refreshes nor asks for anything but a stream.
func TestSec_G09_DisabledAccountWithVerifyEvery(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token, listening := o.signsIn(t), o.signsIn(t)
	cutA, cutB, cutL := o.a.opens(t, token), o.b.opens(t, token), o.b.opens(t, listening)
	o.entra.Disable(anna.Username)
	o.clock.Advance(15*time.Minute - time.Second)
	for _, n := range []*officeNode{o.a, o.b} {
		if n.guard.Recheck(t.Context()); n.status(t, token) != http.StatusOK || o.asked() != 0 {
			t.Fatalf("denied or asked (%d) before the interval has passed", o.asked())
		}
	}
	// A node looks at its streams every 20 seconds: what is due is found out by then.
	o.clock.Advance(20 * time.Second)
	o.a.guard.Recheck(t.Context())
	o.a.wantCheck(t, "ended")
	o.a.guard.RecheckSuspects(t.Context())
	if !cutA() || o.a.status(t, token) != http.StatusUnauthorized {
		t.Error("the node that asked lets the person go on")
	}
	o.b.guard.Recheck(t.Context())
	o.b.wantCheck(t, "ended") // of the other sign-in
	o.b.guard.RecheckSuspects(t.Context())
	if !cutB() || !cutL() || o.b.status(t, token) != http.StatusUnauthorized || o.b.status(t, listening) != http.StatusUnauthorized {
		t.Errorf("the other node lets the person go on: %t %t", cutB(), cutL())
	}
	if o.asked() != 2 {
		t.Errorf("the provider was asked %d times about two sign-ins", o.asked())
	}
}

// A request that comes long after the last yes waits for the next.
func TestSec_G09_IdleAccountIsVerifiedFirst(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*entratest.Emulator)
		status int
	}{
		"unchanged":  {func(*entratest.Emulator) {}, http.StatusOK},
		"disabled":   {func(e *entratest.Emulator) { e.Disable(anna.Username) }, http.StatusUnauthorized},
		"unassigned": {func(e *entratest.Emulator) { e.Change(anna.Username, func(u *entratest.User) { u.Unassigned = true }) }, http.StatusUnauthorized},
		"revoked":    {func(e *entratest.Emulator) { e.RevokeSessions(anna.Username) }, http.StatusUnauthorized},
		"throttled":  {func(e *entratest.Emulator) { e.Break(entratest.Token, entratest.Looping()) }, http.StatusOK},
		"our secret": {func(e *entratest.Emulator) {
			e.Break(entratest.Token, entratest.Answer(401, "invalid_client", 7000222))
		}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			token := o.signsIn(t)
			o.clock.Advance(2 * time.Hour)
			tt.change(o.entra)
			if got := o.b.status(t, token); got != tt.status || o.asked() != 1 {
				t.Errorf("status %d, %d questions", got, o.asked())
			}
			if got := o.a.status(t, token); got != tt.status || o.asked() != 1 {
				t.Errorf("on the other node: status %d, %d questions", got, o.asked())
			}
		})
	}
}

// What the provider says about a person now is what the backend reads next.
func TestChangedRolesReachTheBackend(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token := o.signsIn(t)
	if got := o.a.roles(t, token); !slices.Equal(got, anna.Roles) {
		t.Fatalf("roles %v", got)
	}
	o.entra.Change(anna.Username, func(u *entratest.User) { u.Roles = []string{"MCP.User"} })
	o.clock.Advance(16 * time.Minute)
	o.a.status(t, token)
	o.a.wantCheck(t, "changed")
	if got := o.a.roles(t, token); !slices.Equal(got, []string{"MCP.User"}) {
		t.Errorf("roles %v", got)
	}
	o.clock.Advance(o.policy.Lifetimes.GuardCache)
	if got := o.b.roles(t, token); !slices.Equal(got, []string{"MCP.User"}) {
		t.Errorf("on the other node: roles %v", got)
	}
}

// An outage logs nobody out for provider_outage; beyond it requests get 503 and nothing is
// lost; the first request after it is checked.
func TestSec_G10_OutageWithVerifyEvery(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token := o.signsIn(t)
	o.policy.Lifetimes.Access = time.Hour // for whoever asks how long an outage may last
	o.entra.Break(entratest.Token, entratest.Outage())
	cut := o.a.opens(t, token)
	for range 20 { // 15 minutes each
		if got := o.a.status(t, token); got != http.StatusOK {
			t.Fatalf("status %d, %v into the outage", got, o.clock.Now())
		}
		o.b.status(t, token)
		o.a.guard.Recheck(t.Context())
		o.clock.Advance(15 * time.Minute)
	}
	if cut() {
		t.Error("the stream was cut")
	}
	if n := o.asked(); n < 10 || n > 20 {
		t.Errorf("the provider was asked %d times in 20 intervals", n)
	}
	for _, n := range []*officeNode{o.a, o.b} {
		if got := n.status(t, token); got != http.StatusServiceUnavailable {
			t.Errorf("status %d beyond the outage", got)
		}
	}
	o.entra.Mend(entratest.Token)
	o.clock.Advance(time.Minute)
	if got := o.b.status(t, token); got != http.StatusOK {
		t.Errorf("status %d after the outage", got)
	}
	o.clock.Advance(31 * time.Minute)
	o.entra.Disable(anna.Username)
	if got := o.a.status(t, token); got != http.StatusUnauthorized {
		t.Errorf("status %d of a disabled account", got)
	}
}
