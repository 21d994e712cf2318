// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"net/url"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

// revoke is the revocation endpoint (RFC 7009). A client is told whether it may ask, and
// nothing about the token: RFC 7009 §2.2, "invalid tokens do not cause an error response
// since the client cannot handle such an error in a reasonable way". A token of another
// client is one of these: §2.1 wants such a request refused, and it is, without a word that
// would tell whoever found a token that it is good.
func (s *active) revoke(w http.ResponseWriter, r *http.Request, c Call) {
	if err := s.revokeToken(w, r, c); err != nil {
		if e := oauth.AsError(err); e != nil && e.Status < http.StatusInternalServerError {
			s.Limits.TokenFailed(c.Address)
		}
		s.emit(r.Context(), event.Event{Kind: event.RevocationRefused, Mode: "request", Cause: err})
		s.fail(w, r, c, err)
		return
	}
	// RFC 7009 §2.2: "The content of the response body is ignored by the client as all
	// necessary information is conveyed in the response code."
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

func (s *active) revokeToken(w http.ResponseWriter, r *http.Request, c Call) error {
	form, err := oauth.ParseForm(r, maxBody)
	if err != nil {
		return err
	}
	if err := s.limited(r, c, form, s.genuineToken); err != nil {
		return err
	}
	client, err := s.Clients.Authenticate(r.Context(), s.Rules, r, form)
	if err != nil {
		challengeBasic(w, r, err)
		return err
	}
	// token_type_hint says nothing that the token does not. §2.1: "An authorization server MAY
	// ignore this parameter, particularly if it is able to detect the token type
	// automatically."
	token := form.Get("token")
	if token == "" {
		return oauth.New(oauth.InvalidRequest, "token is missing.")
	}
	done, err := s.Grants.Revoke(r.Context(), client.ID, token)
	if done == grants.RevokedFake && err == nil {
		s.Limits.TokenFailed(c.Address)
	}
	return err
}

// genuineToken is genuine for the parameter token.
func (s *active) genuineToken(r *http.Request, form url.Values) bool {
	if showsSecret(r, form) {
		return false
	}
	t, ok := tokens.ParseAny(form.Get("token"), tokens.Refresh, tokens.Access)
	return ok && s.madeHere(r, t)
}
