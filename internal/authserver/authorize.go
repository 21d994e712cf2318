// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/pages"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
)

const (
	maxState      = 4 << 10 // bytes of the client's own state
	maxLoginToken = 7168    // characters of the sealed request in a URL
	maxAgain      = 8 << 10 // characters of a link that repeats a request
)

// authorize is the authorization endpoint (RFC 6749 §4.1.1). It checks the request,
// seals it into the URL of the consent page and writes nothing: an authorize request
// costs the server no memory, however many arrive.
func (s *active) authorize(w http.ResponseWriter, r *http.Request, c Call) {
	form, repeated, err := authorizeParams(r)
	if err != nil {
		s.badAuthorize(w, r, c, err)
		return
	}
	client, err := s.Clients.Find(r.Context(), s.Rules, form.Get("client_id"))
	if err != nil {
		s.unknownClient(w, r, c, form, err)
		return
	}
	redirect, err := redirectURI(client, form)
	if err != nil {
		s.page(w, r, c, pages.BadRedirect(), err)
		return
	}
	if len(form.Get("state")) > maxState {
		s.page(w, r, c, pages.BadRequest("The app sent a state that is longer than this server takes."), errLongState)
		return
	}
	req, err := s.validate(client, redirect, form)
	if repeated != nil {
		err = repeated
	}
	if err != nil {
		s.refuseClient(w, r, c, client, req, err)
		return
	}
	token, err := s.sealRequest(r.Context(), req)
	if err != nil {
		if oauth.AsError(err) != nil {
			s.refuseClient(w, r, c, client, req, err)
			return
		}
		s.unavailable(w, r, c, s.again("authorize", form), err)
		return
	}
	redirectTo(w, s.loginURL(token), redirectStatus(r))
}

// redirectStatus is 302, but 303 after a POST, which RFC 9700 §4.12 wants so that no
// browser repeats the POST at the target.
func redirectStatus(r *http.Request) int {
	if r.Method == http.MethodPost {
		return http.StatusSeeOther
	}
	return http.StatusFound
}

var (
	errLongState = errors.New("state is longer than 4096 bytes")
	errRepeated  = oauth.New(oauth.InvalidRequest, "A parameter is repeated.")
)

// authorizeParams reads the request in either form. OAuth 2.1 §3.1: "Request and
// response parameters defined by this specification MUST NOT be included more than
// once"; resource alone may repeat (RFC 8707 §2). A repeat that leaves no doubt whose
// request it is and where the answer belongs is repeated, which the client is told.
func authorizeParams(r *http.Request) (form url.Values, repeated, err error) {
	if r.Method == http.MethodPost {
		form, err = oauth.ParseForm(r, maxBody, oauth.AnyRepeat)
	} else {
		form, err = oauth.ParseQuery(r.URL.RawQuery, oauth.AnyRepeat)
	}
	for name, values := range form {
		switch {
		case len(values) < 2 || name == "resource":
		case name == "client_id" || name == "redirect_uri":
			return nil, nil, errRepeated
		default:
			repeated = errRepeated
			form.Del(name)
		}
	}
	return form, repeated, err
}

// redirectURI picks the redirect URI: the one asked for if the client registered it, or
// the only one of a client that names none. RFC 6749 §4.1.2.1: with an invalid one the
// server "MUST NOT automatically redirect the user agent". A loopback one has to be named,
// since the port of its registration is not kept and another program may listen on that
// of the default.
func redirectURI(client *clients.Client, form url.Values) (string, error) {
	asked := form.Get("redirect_uri")
	if asked == "" {
		if len(client.RedirectURIs) == 1 {
			only := client.RedirectURIs[0]
			if client.Redirects(only) && (client.Static || !oauth.IsLoopbackRedirect(only)) {
				return only, nil
			}
		}
		return "", oauth.New(oauth.InvalidRequest, "redirect_uri is missing.")
	}
	if !client.Redirects(asked) {
		return "", oauth.New(oauth.InvalidRequest, "redirect_uri is not registered for this client.")
	}
	return asked, nil
}

// validate checks the rest; its errors may go to the client. The request that it returns
// with an error still says where the answer belongs.
func (s *active) validate(client *clients.Client, redirect string, form url.Values) (grants.Request, error) {
	req := grants.Request{Client: client.ID, RedirectURI: redirect, Challenge: form.Get("code_challenge")}
	if form.Has("state") {
		state := form.Get("state")
		req.State = &state
	}
	if err := checkFlow(client, form); err != nil {
		return req, err
	}
	// RFC 7636 §4.4.1: a server that requires PKCE answers invalid_request without it. MCP:
	// clients MUST use S256, so plain, which is the default of RFC 7636, is refused too.
	if form.Get("code_challenge_method") != "S256" || pkce.CheckChallenge(req.Challenge) != nil {
		return req, oauth.New(oauth.InvalidRequest, "A code_challenge with code_challenge_method S256 is required.")
	}
	res, err := s.target(form["resource"])
	if err != nil {
		return req, err
	}
	req.Resource = res
	req.Scope = s.Policy.Narrow(s.Policy.Find(res), oauth.ParseScopes(form.Get("scope"))).String()
	return req, nil
}

// checkFlow compares values and not presence, because RFC 6749 §3.1 wants it so:
// "Parameters sent without a value MUST be treated as if they were omitted".
func checkFlow(client *clients.Client, form url.Values) error {
	switch mode := form.Get("response_mode"); {
	case form.Get("response_type") == "":
		return oauth.New(oauth.InvalidRequest, "response_type is missing.")
	case form.Get("response_type") != "code":
		return oauth.New(oauth.UnsupportedResponseType, "The only response_type is code.")
	case mode != "" && mode != "query":
		return oauth.New(oauth.InvalidRequest, "The only response_mode is query.")
	case form.Get("request") != "", form.Get("request_uri") != "":
		return oauth.New(oauth.InvalidRequest, "Request objects are not supported.")
	case slices.Contains(strings.Fields(form.Get("prompt")), "none"):
		// OpenID Connect Core §3.1.2.1: none must not show a page, and consent is always asked.
		return oauth.New(oauth.InteractionRequired, "The person has to be asked.")
	case !client.AllowsGrant("authorization_code"):
		return oauth.New(oauth.UnauthorizedClient, "The client may not use authorization codes.")
	}
	return nil
}

// target resolves the resource parameters (RFC 8707 §2): any spelling of one resource.
// A token is for one resource, so two different ones are invalid_target.
func (s *active) target(asked []string) (string, error) {
	if asked = sent(asked); len(asked) == 0 {
		asked = []string{""}
	}
	var found string
	for _, a := range asked {
		res := s.Policy.Find(a)
		if res == nil || (found != "" && found != res.URL) {
			return "", oauth.New(oauth.InvalidTarget, "resource does not name one protected resource of this server.")
		}
		found = res.URL
	}
	return found, nil
}

// sent drops the values that are empty, which count as omitted (RFC 6749 §3.1).
func sent(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
}

func (s *active) badAuthorize(w http.ResponseWriter, r *http.Request, c Call, err error) {
	if prefersJSON(r) {
		s.fail(w, r, c, err)
		return
	}
	s.page(w, r, c, pages.BadRequest("The app sent a request that cannot be read."), err)
}

func (s *active) unknownClient(w http.ResponseWriter, r *http.Request, c Call, form url.Values, err error) {
	switch {
	case oauth.AsError(err) == nil:
		s.unavailable(w, r, c, s.again("authorize", form), err)
	case prefersJSON(r):
		s.fail(w, r, c, err)
	default:
		s.page(w, r, c, pages.BadClient(), err)
	}
}

// refuseClient sends an error to the client. Nobody has done anything yet, so the browser
// goes there by itself only where the target is known; RFC 9700 §4.11.2: an authorization
// server can be used as an open redirector by a client that registered for that purpose.
func (s *active) refuseClient(w http.ResponseWriter, r *http.Request, c Call, client *clients.Client, req grants.Request, err error) {
	e := oauth.AsError(err)
	if e == nil {
		e = oauth.Unavailable(err)
	}
	target := s.errorRedirect(req, e)
	if clients.Automatic(s.Rules, client, req.RedirectURI) {
		s.record(r, c, e.Status, err)
		redirectTo(w, target, redirectStatus(r))
		return
	}
	s.page(w, r, c, pages.ReturnToClient(target, e.Description), err)
}
