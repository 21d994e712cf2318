// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"context"
	"net/http"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// introspection is RFC 7662 §2.2. Where active is false it has no other member: "the
// authorization server SHOULD NOT include any additional information about an inactive
// token, including why the token is inactive".
type introspection struct {
	Active    bool   `json:"active"`
	Issuer    string `json:"iss,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Subject   string `json:"sub,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	Username  string `json:"username,omitempty"`
	Scope     string `json:"scope,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Expires   int64  `json:"exp,omitempty"`
	Issued    int64  `json:"iat,omitempty"`
	// ID is the beginning of the token's hash, by which the audit trail knows it.
	ID string `json:"jti,omitempty"`
}

var errMayNotIntrospect = oauth.New(oauth.UnauthorizedClient, "The client may not ask about tokens.").WithStatus(http.StatusForbidden)

// introspect answers the servers that the configuration names, each about the tokens of
// its own resources. RFC 7662 §4: "the authorization server MUST require protected
// resources to authenticate", since anybody else could try tokens out here.
func (s *active) introspect(w http.ResponseWriter, r *http.Request, c Call) {
	answer, err := s.about(w, r, c)
	if err != nil {
		if e := oauth.AsError(err); e != nil && e.Status < http.StatusInternalServerError {
			s.Limits.AskingFailed(c.Address)
		}
		s.emit(r.Context(), event.Event{Kind: event.IntrospectionRefused, Cause: err})
		s.fail(w, r, c, err)
		return
	}
	oauth.WriteJSON(w, http.StatusOK, answer)
}

func (s *active) about(w http.ResponseWriter, r *http.Request, c Call) (introspection, error) {
	form, err := oauth.ParseForm(r, maxBody)
	if err != nil {
		return introspection{}, err
	}
	if wait, ok := s.Limits.AskingBlocked(c.Address); !ok {
		return introspection{}, s.tooMany(r, c, wait)
	}
	client, err := s.Clients.Authenticate(r.Context(), s.Rules, r, form)
	if err != nil {
		challengeBasic(w, r, err)
		return introspection{}, err
	}
	if !s.mayIntrospect(client) {
		return introspection{}, errMayNotIntrospect
	}
	if form.Get("token") == "" {
		return introspection{}, oauth.New(oauth.InvalidRequest, "token is missing.")
	}
	return s.describe(r.Context(), client, form.Get("token"))
}

// mayIntrospect wants a secret, whatever the configuration says.
func (s *active) mayIntrospect(c *clients.Client) bool {
	if !c.Static || !c.Confidential() {
		return false
	}
	for _, r := range s.Policy.Resources {
		if slices.Contains(r.Introspect, c.ID) {
			return true
		}
	}
	return false
}

// describe says what the guard would make of an access token. A refresh token is nothing
// that a resource could be shown. A token that the client may not know about is inactive
// for it (RFC 7662 §2.2).
func (s *active) describe(ctx context.Context, client *clients.Client, token string) (introspection, error) {
	a, err := s.Grants.Access(ctx, token)
	if err != nil {
		return inactive(err)
	}
	res := s.Policy.Find(a.Resource)
	if res == nil || !slices.Contains(res.Introspect, client.ID) {
		return introspection{}, nil
	}
	// A server that is reached without the guard is where accounts are in use, too.
	a, err = s.Grants.Verify(ctx, grants.Terms{Policy: s.Policy, Provider: s.Provider}, a, token)
	if err != nil {
		return inactive(err)
	}
	if !s.Policy.Allow.Permits(a.Person) {
		return introspection{}, nil
	}
	return s.described(a, res.Audience), nil
}

// inactive is the answer where the token is of no use. What is unknown stays unknown.
func inactive(err error) (introspection, error) {
	if oauth.AsError(err) == nil {
		return introspection{}, err
	}
	return introspection{}, nil
}

func (s *active) described(a *grants.Access, audience string) introspection {
	out := introspection{
		Active: true, Issuer: s.Policy.Issuer, Audience: audience, Subject: a.Person.Subject, ClientID: a.Client,
		Username: a.Person.PreferredUsername, Scope: s.Policy.Closure(a.Scopes).String(), TokenType: "Bearer",
		Expires: a.Expires.Unix(), ID: event.TokenHash(a.Hash),
	}
	if !a.Issued.IsZero() {
		out.Issued = a.Issued.Unix()
	}
	return out
}
