// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/pages"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

var (
	errState  = errors.New("state is unknown, expired or not ours")
	errNobody = errors.New("provider named no subject")
)

// callback takes the provider's answer. RFC 9700 §4.7: the answer has to come back to the
// browser that left for it, or an attacker could let a victim sign in for him; the handle
// alone proves nothing, the cookie does.
func (s *active) callback(w http.ResponseWriter, r *http.Request, c Call) {
	form, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil || (form.Get("code") == "") == (form.Get("error") == "") {
		s.page(w, r, c, pages.BadRequest("The sign-in service sent an answer that cannot be read."), errors.Join(errState, err))
		return
	}
	tid, err := s.openHandle(r.Context(), form.Get("state"))
	if errors.Is(err, errState) {
		s.page(w, r, c, pages.Expired(""), err)
		return
	}
	if err != nil {
		s.unavailable(w, r, c, s.again("callback", form), err)
		return
	}
	login, ok := s.takeLogin(w, r, c, tid, form)
	if !ok {
		return
	}
	s.endLogin(w, tid)
	if form.Get("error") != "" {
		s.providerSaidNo(w, r, c, login.Request, form)
		return
	}
	session, err := s.Provider.Exchange(r.Context(), provider.ExchangeRequest{
		Code: secret.New(form.Get("code")), Verifier: secretOf(login.Verifier), Nonce: secretOf(login.Nonce),
		RedirectURI: s.callbackURL(), ResponseIssuer: responseIssuer(form),
	})
	if err != nil {
		s.providerProblem(w, r, c, login.Request, s.restart(r.Context(), login.Request), err)
		return
	}
	s.complete(w, r, c, login.Request, session)
}

// openHandle checks the MAC of a state before anything is read: an invented state costs
// no store.
func (s *active) openHandle(ctx context.Context, handle string) ([16]byte, error) {
	ring, err := s.Vault.Keyring(ctx)
	if err != nil {
		return [16]byte{}, err
	}
	tid, ok := seal.OpenStateHandle(ring.BrowserRoots(), s.site, handle)
	if !ok {
		return tid, errState
	}
	return tid, nil
}

// takeLogin claims the login for this browser. Where it returns false it has answered.
// While the outcome is unknown the same answer may be sent again, and the cookies stay.
func (s *active) takeLogin(w http.ResponseWriter, r *http.Request, c Call, tid [16]byte, form url.Values) (grants.Login, bool) {
	var value string
	if cookie, err := r.Cookie(seal.BindingCookie(s.site, tid, s.https)); err == nil {
		value = cookie.Value
	}
	binding := sha256.Sum256([]byte(value))
	login, err := s.Grants.TakeLogin(r.Context(), tid, binding[:])
	switch {
	case err == nil:
		return login, true
	case errors.Is(err, grants.ErrLoginGone):
		s.endLogin(w, tid)
		s.page(w, r, c, pages.Expired(""), err)
	case errors.Is(err, grants.ErrLoginUsed):
		s.endLogin(w, tid)
		s.page(w, r, c, pages.AlreadyUsed(s.restart(r.Context(), login.Request)), err)
	case errors.Is(err, grants.ErrOtherBrowser):
		s.endLogin(w, tid)
		s.emit(r.Context(), event.Event{Kind: event.BrowserMismatch, Client: login.Request.Client})
		s.page(w, r, c, pages.OtherBrowser(s.restart(r.Context(), login.Request)), err)
	default:
		s.unavailable(w, r, c, s.again("callback", form), err)
	}
	return login, false
}

// complete applies the administrator's rules to the person and hands out the code.
func (s *active) complete(w http.ResponseWriter, r *http.Request, c Call, req grants.Request, session *provider.Session) {
	p := session.Person
	if p.Subject == "" {
		s.unavailable(w, r, c, s.restart(r.Context(), req), errNobody)
		return
	}
	if !s.Policy.Allow.Permits(p) {
		s.emit(r.Context(), event.Event{Kind: event.LoginDenied, Mode: "policy", Client: req.Client, Person: p.Subject, Resource: req.Resource, Cause: whyNot(p)})
		back := s.errorRedirect(req, oauth.New(oauth.AccessDenied, "The person may not use this server."))
		s.page(w, r, c, pages.NotAllowed(p.PreferredUsername, "", back), errors.New("policy does not permit this person"))
		return
	}
	if s.Policy.Verify.Never {
		session.RefreshToken = secret.String{}
	}
	code, err := s.Grants.IssueCode(r.Context(), req, session, s.Policy.Lifetimes.Code)
	if errors.Is(err, grants.ErrSignedOut) {
		s.emit(r.Context(), event.Event{Kind: event.LoginFailed, Mode: "signed_out", Client: req.Client, Person: p.Subject, Resource: req.Resource})
		s.page(w, r, c, pages.Expired(s.restart(r.Context(), req)), err)
		return
	}
	if err != nil {
		s.unavailable(w, r, c, s.restart(r.Context(), req), err)
		return
	}
	s.emit(r.Context(), event.Event{Kind: event.CodeIssued, Client: req.Client, Person: p.Subject, Resource: req.Resource})
	redirectTo(w, s.answer(req, url.Values{"code": {code.Reveal()}}), http.StatusSeeOther)
}

// providerSaidNo handles an error in the provider's redirect. Its text is never shown and
// never passed on: only the code decides, and a person who cancelled there has answered.
func (s *active) providerSaidNo(w http.ResponseWriter, r *http.Request, c Call, req grants.Request, form url.Values) {
	cause := redirectError(form)
	again := s.restart(r.Context(), req)
	switch form.Get("error") {
	case "access_denied":
		s.emit(r.Context(), event.Event{Kind: event.LoginDenied, Mode: "provider", Client: req.Client, Resource: req.Resource, Cause: cause})
		redirectTo(w, s.denied(req), http.StatusSeeOther)
	case "server_error", "temporarily_unavailable":
		s.providerProblem(w, r, c, req, again, cause)
	default:
		s.providerProblem(w, r, c, req, again, &provider.Refused{Reason: "redirect_error", Cause: cause})
	}
}

// redirectError is what the log says about an error in the provider's redirect: its code,
// and the number that Entra puts first in the description. The rest of that text may name
// a person.
func redirectError(form url.Values) error {
	number, _, _ := strings.Cut(form.Get("error_description"), ":")
	if strings.Trim(strings.TrimPrefix(number, "AADSTS"), "0123456789") != "" {
		number = ""
	}
	return fmt.Errorf("provider redirected with error %.60q %.20s", form.Get("error"), number)
}

// providerProblem answers when the provider said no or could not be asked. The client is
// not told: it keeps waiting, and the person can try again from the page.
func (s *active) providerProblem(w http.ResponseWriter, r *http.Request, c Call, req grants.Request, again string, err error) {
	var no *provider.Refused
	mode, ref := "unavailable", ""
	if errors.As(err, &no) {
		mode, ref = no.Reason, no.Reference
	}
	s.emit(r.Context(), event.Event{Kind: event.LoginFailed, Mode: mode, Client: req.Client, Resource: req.Resource, Cause: err})
	if no == nil {
		s.unavailable(w, r, c, again, err)
		return
	}
	s.page(w, r, c, pages.ProviderFailed(again, ref), err)
}

func responseIssuer(form url.Values) *string {
	if !form.Has("iss") {
		return nil
	}
	iss := form.Get("iss")
	return &iss
}

func secretOf(s string) secret.String { return secret.New(s) }

// whyNot says what of a person the rules could not look at, for the administrator.
func whyNot(p provider.Person) error {
	return fmt.Errorf("no allow block holds; the provider states verified address: %t, roles: %d", p.EmailVerified, len(p.Roles))
}
