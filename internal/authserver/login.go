// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/pages"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// login shows the consent page. It comes before the provider, always: with one app
// registration at the provider and open registration here, a sign-in that skipped it
// would hand codes to whoever sent the link. It writes nothing but a cookie.
func (s *active) login(w http.ResponseWriter, r *http.Request, c Call) {
	form, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil {
		s.page(w, r, c, pages.BadRequest("The address of this page is not complete."), err)
		return
	}
	token := form.Get("token")
	o, client, ok := s.reopen(w, r, c, token)
	if !ok {
		return
	}
	key, err := s.formKey(w, r, o.tid)
	if err != nil {
		s.unavailable(w, r, c, s.loginURL(token), err)
		return
	}
	s.Pages.Consent(w, s.consentPage(o, client, token, key))
}

// reopen opens a login token and checks its client and redirect URI once more, since
// either may have changed since authorize. Where it returns false it has answered.
func (s *active) reopen(w http.ResponseWriter, r *http.Request, c Call, token string) (opened, *clients.Client, bool) {
	o, err := s.openRequest(r.Context(), token)
	if errors.Is(err, errExpired) {
		if o.tid != [16]byte{} {
			s.dropCookie(w, seal.FormCookie(s.site, o.tid, s.https))
		}
		s.page(w, r, c, pages.Expired(""), err)
		return o, nil, false
	}
	if err != nil {
		s.unavailable(w, r, c, s.loginURL(token), err)
		return o, nil, false
	}
	client, err := s.Clients.Find(r.Context(), s.Rules, o.req.Client)
	switch {
	case err == nil && !client.Redirects(o.req.RedirectURI):
		s.page(w, r, c, pages.BadRedirect(), errors.New("redirect URI is no longer registered"))
		return o, nil, false
	case err == nil && s.Policy.Find(o.req.Resource) == nil:
		s.page(w, r, c, pages.Expired(""), errors.New("resource is no longer configured"))
		return o, nil, false
	case err == nil:
		return o, client, true
	case oauth.AsError(err) == nil:
		s.unavailable(w, r, c, s.loginURL(token), err)
	default:
		s.page(w, r, c, pages.BadClient(), err)
	}
	return o, nil, false
}

func (s *active) consentPage(o opened, client *clients.Client, token, key string) pages.Consent {
	res := s.Policy.Find(o.req.Resource)
	p := pages.Consent{
		Action: s.Policy.Issuer + "/login/continue", Token: token, FormKey: key,
		ClientName: client.Name, ClientID: client.ID, Vouched: client.Static, RedirectURI: o.req.RedirectURI,
		Resource: res.Name, ResourceURL: res.URL, Provider: s.Provider.Name(),
	}
	if u, err := url.Parse(client.URI); err == nil {
		p.ClientHost = u.Host
	}
	for _, name := range oauth.ParseScopes(o.req.Scope) {
		p.Scopes = append(p.Scopes, pages.ScopeLine{Name: name, Description: s.Policy.Scopes[name].Description})
	}
	return p
}

// denied is the answer of a person who does not want to.
func (s *Server) denied(req grants.Request) string {
	return s.errorRedirect(req, oauth.New(oauth.AccessDenied, "The person did not agree."))
}
