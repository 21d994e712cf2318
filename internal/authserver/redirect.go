// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"net/url"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// answer builds the authorization response. RFC 9207 §2: "the authorization server MUST
// include the iss parameter", in errors too. RFC 6749 §4.1.2: state is "REQUIRED if the
// state parameter was present in the client authorization request", exactly as received.
func (s *Server) answer(req grants.Request, params url.Values) string {
	params.Set("iss", s.Policy.Issuer)
	if req.State != nil {
		params.Set("state", *req.State)
	}
	return oauth.RedirectWith(req.RedirectURI, params)
}

func (s *Server) errorRedirect(req grants.Request, e *oauth.Error) string {
	params := url.Values{"error": {string(e.Code)}}
	if e.Description != "" {
		params.Set("error_description", e.Description)
	}
	return s.answer(req, params)
}

// again is the URL that asks the same once more, from parsed parameters and never from
// the bytes of a request; "" where it is too long for a link.
func (s *Server) again(endpoint string, params url.Values) string {
	u := s.Policy.Issuer + "/" + endpoint + "?" + params.Encode()
	if len(u) > maxAgain {
		return ""
	}
	return u
}

func (s *Server) loginURL(token string) string {
	return s.Policy.Issuer + "/login?" + url.Values{"token": {token}}.Encode()
}

func redirectTo(w http.ResponseWriter, target string, status int) {
	w.Header().Set("Location", target)
	w.WriteHeader(status)
}
