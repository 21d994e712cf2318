// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// A request that names no redirect URI gets the only one, unless that may not be used or
// leaves open which program it is.
func TestOnlyRedirectURI(t *testing.T) {
	t.Parallel()
	const missing, foreign = "redirect_uri is missing.", "redirect_uri is not registered for this client."
	for _, tt := range []struct {
		static     bool
		registered []string
		asked      string
		want, no   string
	}{
		{registered: []string{claude}, want: claude},
		{registered: []string{claude, stranger}, no: missing},
		{registered: nil, no: missing},
		{registered: []string{loopback}, no: missing},
		{registered: []string{loopback}, static: true, want: loopback},
		{registered: []string{claude}, static: true, want: claude},
		{registered: []string{"javascript:alert(1)"}, no: missing},
		{registered: []string{"javascript:alert(1)"}, static: true, no: missing},
		{registered: []string{"javascript:alert(1)"}, asked: "javascript:alert(1)", no: foreign},
		{registered: []string{claude}, asked: stranger, no: foreign},
		{registered: []string{claude}, asked: claude, want: claude},
		{registered: []string{claude, stranger}, asked: stranger, want: stranger},
		{registered: []string{loopback}, asked: "http://localhost:5000/callback", want: "http://localhost:5000/callback"},
	} {
		form := url.Values{}
		if tt.asked != "" {
			form.Set("redirect_uri", tt.asked)
		}
		got, err := redirectURI(&clients.Client{Static: tt.static, RedirectURIs: tt.registered}, form)
		if tt.no == "" && (err != nil || got != tt.want) {
			t.Errorf("%q of %q: %q, %v", tt.asked, tt.registered, got, err)
		}
		if e := oauth.AsError(err); tt.no != "" && (got != "" || e == nil || e.Description != tt.no) {
			t.Errorf("%q of %q: %q, %v; want %q", tt.asked, tt.registered, got, err, tt.no)
		}
	}
}

func TestErrorRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	state := "s"
	for want, e := range map[string]*oauth.Error{
		claude + "?error=access_denied&iss=https%3A%2F%2Fmcp.example.com%2Foauth&state=s":                       {Code: oauth.AccessDenied},
		claude + "?error=access_denied&error_description=No.&iss=https%3A%2F%2Fmcp.example.com%2Foauth&state=s": {Code: oauth.AccessDenied, Description: "No."},
	} {
		if got := w.errorRedirect(grants.Request{RedirectURI: claude, State: &state}, e); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// What is sent to a trusted client without a page still stands in the log.
func TestRefusedClientIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	rec := w.browser().get(w.authorizeURL(ask(id, claude, "code_challenge", "-")))
	wantRedirect(t, rec, http.StatusFound, claude+"?error=invalid_request")
	if !strings.Contains(w.logs.String(), "code_challenge") {
		t.Errorf("log: %s", w.logs)
	}
}

// Between the consent page and its reload the configuration may have changed.
func TestReopenChecksAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page, _ := w.browser().open(t, ask(w.register(t, claude), claude))
	w.serve(t, setup{issuer: issuer, resources: []string{"https://mcp.example.com/other"}})
	rec := w.browser().get(page)
	wantPage(t, rec, http.StatusBadRequest, "This sign-in has expired")
	if next := wayOn(t, rec); next != "" {
		t.Errorf("the way on is %s", next)
	}
	w.serve(t, setup{issuer: issuer, resources: []string{resource}, rules: clients.Rules{RedirectHosts: []string{"chatgpt.com"}}})
	wantPage(t, w.browser().get(page), http.StatusBadRequest, "The return address does not match")
	w.serve(t, setup{issuer: issuer, resources: []string{resource}})
	if rec = w.browser().get(page); rec.Code != http.StatusOK {
		t.Errorf("%d %s", rec.Code, heading(rec))
	}
}

// A token under a root that cannot be looked up says nothing; nonsense is a no.
func TestReopenUnknownIsNoAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page, _ := w.browser().open(t, ask(w.register(t, claude), claude))
	token := param(t, page, "token")
	// The first characters hold the version and the id of the root.
	other := "A"
	if token[4:5] == other {
		other = "B"
	}
	foreign := issuer + "/login?token=" + url.QueryEscape(token[:4]+other+token[5:])
	w.clock.Advance(time.Minute)
	w.store.Set(faulty.Before)
	w.store.Only(faulty.Get, "keyring")
	rec := w.browser().get(foreign)
	wantUnknown(t, rec, true)
	if next := wayOn(t, rec); next != foreign {
		t.Errorf("the way on is %s", next)
	}
	w.store.Set(faulty.None)
	w.clock.Advance(time.Minute)
	rec = w.browser().get(foreign)
	wantPage(t, rec, http.StatusBadRequest, "This sign-in has expired")
	if set := rec.Header().Values("Set-Cookie"); len(set) != 0 {
		t.Errorf("a token that says nothing drops %q", set)
	}
	w.clock.Advance(loginTokenLife)
	rec = w.browser().get(page)
	wantPage(t, rec, http.StatusBadRequest, "This sign-in has expired")
	if next := wayOn(t, rec); next != "" {
		t.Errorf("the way on is %s", next)
	}
	if set := rec.Header().Values("Set-Cookie"); len(set) != 1 || !strings.Contains(set[0], "Max-Age=0") {
		t.Errorf("an expired sign-in drops %q", set)
	}
}

// Where client and resource are both gone the client is what the person is told about.
func TestReopenUnknownClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page, _ := w.browser().open(t, ask(staticID, portal))
	w.serve(t, setup{issuer: issuer, resources: []string{"https://mcp.example.com/other"}})
	wantPage(t, w.browser().get(page), http.StatusBadRequest, "This app is not registered here")
}

// An unknown outcome is told to the client as one.
func TestRefuseClientOfTheUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &active{Server: w.Server, State: w.state}
	client := &clients.Client{RedirectURIs: []string{claude}}
	rec := httptest.NewRecorder()
	s.refuseClient(rec, request(http.MethodGet, issuer+"/authorize", ""), Call{}, client, grants.Request{RedirectURI: claude}, errDown)
	wantRedirect(t, rec, http.StatusFound, claude+"?error=temporarily_unavailable")
}
