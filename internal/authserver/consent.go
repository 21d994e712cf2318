// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/pages"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

var errForm = errors.New("the form did not come from our page in this browser")

// consent takes the answer to the consent page. Only here does a login come into being:
// MCP security best practices want the state towards the provider to exist "only after
// consent has been explicitly approved". The form says nothing but yes or no; what was
// agreed to is in the sealed token.
func (s *active) consent(w http.ResponseWriter, r *http.Request, c Call) {
	form, err := oauth.ParseForm(r, maxBody)
	if err != nil {
		s.page(w, r, c, pages.BadRequest("The form could not be read."), err)
		return
	}
	if !s.fromOurPage(r) {
		s.page(w, r, c, pages.FormRefused(""), errForm)
		return
	}
	token := form.Get("token")
	o, client, ok := s.reopen(w, r, c, token)
	if !ok {
		return
	}
	rnd, ok := s.checkFormKey(r, o.tid, form.Get("key"))
	if !ok {
		s.page(w, r, c, pages.FormRefused(s.loginURL(token)), errForm)
		return
	}
	switch form.Get("decision") {
	case "continue":
		s.startLogin(w, r, c, agreed{o, client, token, rnd})
	case "cancel":
		s.endLogin(w, o.tid)
		s.emit(r.Context(), event.Event{Kind: event.LoginDenied, Mode: "person", Client: client.ID, Resource: o.req.Resource})
		redirectTo(w, s.denied(o.req), http.StatusSeeOther)
	default:
		s.page(w, r, c, pages.BadRequest("The form says neither yes nor no."), errForm)
	}
}

// fromOurPage tells our own page from everybody else's. Fetch Metadata cannot be forged
// by a page; a browser that does not send it sends Origin with a POST.
func (s *active) fromOurPage(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if len(r.Header.Values("Origin")) > 1 {
		return false
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin" && r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
			r.Header.Get("Sec-Fetch-Dest") == "document" &&
			(origin == "" || origin == "null" || origin == s.origin)
	}
	return origin == s.origin
}

// checkFormKey compares the key in the form with the one in the cookie of this consent
// page, and returns the randomness from which the binding cookie is made.
func (s *active) checkFormKey(r *http.Request, tid [16]byte, key string) ([32]byte, bool) {
	cookie, err := r.Cookie(seal.FormCookie(s.site, tid, s.https))
	if err != nil || subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(key)) != 1 || !s.freshKey(key) {
		return [32]byte{}, false
	}
	_, rnd, ok := seal.ParseFormKey(key)
	return rnd, ok
}

// agreed is a consent form that said yes.
type agreed struct {
	opened
	client *clients.Client
	token  string
	rnd    [32]byte // of the form key
}

func (s *active) startLogin(w http.ResponseWriter, r *http.Request, c Call, a agreed) {
	if wait, ok := s.Limits.Login(c.Address); !ok {
		s.emit(r.Context(), event.Event{Kind: event.LimitHit, Mode: "login"})
		s.page(w, r, c, pages.TooMany(wait), nil)
		return
	}
	binding := a.root.Binding(s.site, a.tid, a.rnd)
	target, err := s.createLogin(r.Context(), a, binding)
	switch {
	case errors.Is(err, grants.ErrLoginUsed), errors.Is(err, grants.ErrLoginGone):
		s.dropCookie(w, seal.FormCookie(s.site, a.tid, s.https))
		s.page(w, r, c, pages.AlreadyUsed(s.restart(r.Context(), a.req)), err)
		return
	case err != nil:
		// The same page again finds the login that may have been created all the same.
		s.providerProblem(w, r, c, a.req, s.loginURL(a.token), err)
		return
	}
	s.setBinding(w, r, a.tid, binding)
	s.emit(r.Context(), event.Event{Kind: event.LoginStarted, Client: a.client.ID, Resource: a.req.Resource})
	redirectTo(w, target, http.StatusSeeOther)
}

// createLogin records the login and returns the provider's URL for it. Called twice for
// one consent page it returns the same URL.
func (s *active) createLogin(ctx context.Context, a agreed, binding string) (string, error) {
	verifier, err := pkce.NewVerifier(s.Rand)
	if err != nil {
		return "", err
	}
	nonce, err := pkce.NewVerifier(s.Rand)
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(binding))
	l, err := s.Grants.StartLogin(ctx, a.tid, grants.Login{
		Request: a.req, Verifier: verifier, Nonce: nonce, Binding: hash[:],
	})
	if err != nil {
		return "", err
	}
	root, err := s.Vault.ActiveRoot(ctx)
	if err != nil {
		return "", err
	}
	target, err := s.Provider.AuthorizationURL(ctx, provider.AuthorizationRequest{
		State: root.StateHandle(s.site, a.tid), Nonce: secretOf(l.Nonce), Challenge: pkce.Challenge(l.Verifier),
		RedirectURI: s.callbackURL(), SelectAccount: clients.SelectAccount(a.client, a.req.RedirectURI),
	})
	if err != nil {
		return "", err
	}
	return checkTarget(target)
}

// checkTarget makes sure that the browser leaves for somewhere absolute.
func checkTarget(target string) (string, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return "", errors.New("provider returned a malformed authorization URL")
	}
	return target, nil
}

func (s *active) callbackURL() string { return s.Policy.Issuer + "/callback" }
