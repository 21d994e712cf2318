// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"net/url"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

// tokenResponse is RFC 6749 §5.1. scope is always there: clients take an absent one as
// empty or as what they asked for, depending on who wrote them.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope"`
}

// token is the token endpoint (RFC 6749 §3.2). The client is authenticated before
// anything else is looked at: an unknown one must get invalid_client, by which clients
// notice that they have to register again.
func (s *active) token(w http.ResponseWriter, r *http.Request, c Call) {
	issued, err := s.exchange(w, r, c)
	if err != nil {
		if e := oauth.AsError(err); e != nil && e.Status < http.StatusInternalServerError {
			s.Limits.TokenFailed(c.Address)
		}
		s.emit(r.Context(), event.Event{Kind: event.TokenRefused, Cause: err})
		s.fail(w, r, c, err)
		return
	}
	oauth.WriteJSON(w, http.StatusOK, s.response(issued))
}

func (s *active) exchange(w http.ResponseWriter, r *http.Request, c Call) (*grants.Issued, error) {
	form, err := oauth.ParseForm(r, maxBody, "resource")
	if err != nil {
		return nil, err
	}
	if err := s.limited(r, c, form, s.genuine); err != nil {
		return nil, err
	}
	client, err := s.Clients.Authenticate(r.Context(), s.Rules, r, form)
	if err != nil {
		challengeBasic(w, r, err)
		return nil, err
	}
	issued, err := s.grant(r, client, form)
	if err != nil {
		return nil, err
	}
	if err := s.Clients.Used(r.Context(), client, issued.GrantExpires); err != nil {
		// The tokens exist; the client's life is extended at its next refresh.
		s.Log.WarnContext(r.Context(), "client was not extended", "error", err)
	}
	return issued, nil
}

// limited refuses an address that has failed too often, but for a genuine request.
func (s *active) limited(r *http.Request, c Call, form url.Values, genuine func(*http.Request, url.Values) bool) error {
	wait, ok := s.Limits.TokenBlocked(c.Address)
	if ok || genuine(r, form) {
		return nil
	}
	return s.tooMany(r, c, wait)
}

// tooMany is the refusal of a request whose address has failed too often.
func (s *active) tooMany(r *http.Request, c Call, wait time.Duration) error {
	s.emit(r.Context(), event.Event{Kind: event.LimitHit, Mode: c.Endpoint})
	// Clients take any other code for the end of their session.
	return oauth.New(oauth.TemporarilyUnavailable, "Too many failed requests.").
		WithStatus(http.StatusTooManyRequests).WithRetryAfter(wait)
}

// genuine tells whether a public client shows a code or refresh token that was made here.
// Such a request is served while others from its address are refused, because behind one
// address there may be a whole company. It costs no read, and who shows a secret is not
// excused, so that none can be guessed this way.
func (s *active) genuine(r *http.Request, form url.Values) bool {
	if showsSecret(r, form) {
		return false
	}
	t, ok := tokens.Parse(tokens.Refresh, form.Get("refresh_token"))
	if form.Get("grant_type") == clients.GrantCode {
		t, ok = tokens.Parse(tokens.Code, form.Get("code"))
	}
	return ok && s.madeHere(r, t)
}

func showsSecret(r *http.Request, form url.Values) bool {
	return form.Get("client_secret") != "" || r.Header.Get("Authorization") != ""
}

func (s *active) madeHere(r *http.Request, t tokens.Token) bool {
	root, known, err := s.Vault.Root(r.Context(), t.KID)
	return err == nil && known && t.Verify(root, s.site)
}

func (s *active) grant(r *http.Request, client *clients.Client, form url.Values) (*grants.Issued, error) {
	resource, err := oneResource(form["resource"])
	if err != nil {
		return nil, err
	}
	terms := grants.Terms{Policy: s.Policy, Provider: s.Provider}
	kind := form.Get("grant_type")
	switch {
	case kind == "":
		return nil, oauth.New(oauth.InvalidRequest, "grant_type is missing.")
	case kind != clients.GrantCode && kind != clients.GrantRefresh:
		return nil, oauth.New(oauth.UnsupportedGrantType, "The grant_type is not supported.")
	case !client.AllowsGrant(kind):
		return nil, oauth.New(oauth.UnauthorizedClient, "The client may not use this grant_type.")
	case kind == clients.GrantRefresh:
		if form.Get("refresh_token") == "" {
			return nil, oauth.New(oauth.InvalidRequest, "refresh_token is missing.")
		}
		return s.Grants.Refresh(r.Context(), terms, grants.Refreshing{
			Client: client.ID, Token: form.Get("refresh_token"), Scope: form.Get("scope"), Resource: resource,
		})
	}
	if form.Get("code") == "" {
		return nil, oauth.New(oauth.InvalidRequest, "code is missing.")
	}
	redemption := grants.Redemption{
		Client: client.ID, Code: form.Get("code"), Verifier: form.Get("code_verifier"), Resource: resource,
		Refreshable: client.AllowsGrant(clients.GrantRefresh),
	}
	if uri := form.Get("redirect_uri"); uri != "" {
		redemption.RedirectURI = &uri
	}
	return s.Grants.Redeem(r.Context(), terms, redemption)
}

// oneResource accepts the same resource repeated; a token is for one resource.
func oneResource(asked []string) (string, error) {
	asked = sent(asked)
	for _, a := range asked {
		if oauth.CanonicalResource(a) == "" || oauth.CanonicalResource(a) != oauth.CanonicalResource(asked[0]) {
			return "", oauth.New(oauth.InvalidTarget, "resource does not name one protected resource of this server.")
		}
	}
	if len(asked) == 0 {
		return "", nil
	}
	return asked[0], nil
}

// challengeBasic adds the header that RFC 6749 §5.2 wants for a client that used Basic.
func challengeBasic(w http.ResponseWriter, r *http.Request, err error) {
	e := oauth.AsError(err)
	if e != nil && e.Code == oauth.InvalidClient && clients.UsedBasic(r) {
		w.Header().Set("WWW-Authenticate", clients.BasicChallenge)
	}
}

func (s *active) response(i *grants.Issued) tokenResponse {
	out := tokenResponse{
		AccessToken: i.Access.Text().Reveal(), TokenType: "Bearer",
		ExpiresIn: max(i.Expires.Unix()-s.Now().Unix(), 1), Scope: i.Scopes.String(),
	}
	if i.Refresh != nil {
		out.RefreshToken = i.Refresh.Text().Reveal()
	}
	return out
}
