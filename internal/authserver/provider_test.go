// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

func TestProviderFailures(t *testing.T) {
	t.Parallel()
	refused := &provider.Refused{Reason: "id_token", Reference: "corr-17", Cause: errors.New("nonce")}
	for _, c := range []struct {
		name   string
		break_ func(*fakeProvider)
		status int
		page   string
	}{
		{"exchange refused", func(p *fakeProvider) { p.exchangeErr = refused }, 400, "Sign-in was not completed"},
		{"exchange down", func(p *fakeProvider) { p.exchangeErr = errDown }, 503, "Temporarily unavailable"},
		{"exchange timed out", func(p *fakeProvider) { p.exchangeErr = context.DeadlineExceeded }, 503, "Temporarily unavailable"},
		{"nobody", func(p *fakeProvider) { p.nobody = true }, 503, "Temporarily unavailable"},
	} {
		w := newWorld(t)
		c.break_(w.provider)
		b := w.browser()
		_, form := b.open(t, ask(w.register(t, claude), claude))
		rec := b.get(b.leave(t, form))
		wantPage(t, rec, c.status, c.page)
		if len(b.cookies) != 0 || w.events.count(event.CodeIssued) != 0 {
			t.Errorf("%s: cookies %v, events %v", c.name, b.names(), w.events.events)
		}
		if strings.Contains(rec.Body.String(), "10.1.2.3") || strings.Contains(rec.Body.String(), "nonce") {
			t.Errorf("%s: K08: the page shows the cause", c.name)
		}
		if c.status == 400 && !strings.Contains(rec.Body.String(), "corr-17") {
			t.Errorf("%s: without the provider's reference", c.name)
		}
		if c.status == 503 && rec.Header().Get("Retry-After") == "" {
			t.Errorf("%s: without Retry-After", c.name)
		}
		*w.provider = fakeProvider{}
		wantRedirect(t, b.get(b.leave(t, b.show(t, wayOn(t, rec)))), http.StatusSeeOther, claude+"?code=")
	}
}

func TestProviderCannotBeReachedAtConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	page, form := b.open(t, ask(w.register(t, claude), claude))
	w.provider.urlErr = errDown
	rec := b.submit(form)
	wantPage(t, rec, 503, "Temporarily unavailable")
	if wayOn(t, rec) != page {
		t.Errorf("way on %q", wayOn(t, rec))
	}
	w.provider.urlErr = &provider.Refused{Reason: "configuration"}
	wantPage(t, b.submit(form), 400, "Sign-in was not completed")
	w.provider.urlErr = nil
	wantRedirect(t, b.get(b.leave(t, b.show(t, page))), http.StatusSeeOther, claude+"?code=")
}

func TestPolicyDenies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *setup) {
		s.allow = policy.Allow{{{Attribute: "domain", Values: []string{"fabrikam.example"}}}}
	})
	b := w.browser()
	_, form := b.open(t, ask(w.register(t, stranger), stranger))
	callback := b.leave(t, form)
	writes := w.store.Writes()
	rec := b.get(callback)
	wantPage(t, rec, http.StatusForbidden, "You do not have access")
	wantErrorRedirect(t, wayOn(t, rec), stranger, "access_denied", true)
	if !strings.Contains(rec.Body.String(), "help@contoso.example") || len(b.cookies) != 0 {
		t.Errorf("without contact, or cookies left: %v", b.names())
	}
	if w.store.Writes() != writes+1 || w.events.count(event.LoginDenied) != 1 {
		t.Errorf("%d writes; want the end of the login alone", w.store.Writes()-writes)
	}
}

// Our own PKCE and nonce hold on the provider's leg, and belong to this login.
func TestSec_C03_OwnVerifier(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	_, form := b.open(t, ask(w.register(t, claude), claude))
	b.get(b.leave(t, form))
	out, in := w.provider.urls[0], w.provider.exchanges[0]
	if pkce.Verify(out.Challenge, in.Verifier.Reveal()) != nil || in.Nonce.Reveal() != out.Nonce.Reveal() || in.RedirectURI != out.RedirectURI || in.Code.Reveal() != "idp-code" {
		t.Error("the exchange does not belong to the redirect")
	}
	if out.Challenge == challenge || in.Verifier.Reveal() == verifier || strings.Contains(out.State, in.Verifier.Reveal()) {
		t.Error("the client's PKCE was passed on")
	}
}
