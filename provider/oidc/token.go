// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// tokenClient speaks to a token endpoint (RFC 6749 §3.2) for both grants. It exists
// beside x/oauth2, whose clients cannot send scope with a refresh, put the provider's
// whole answer (which holds e-mail addresses) into error texts, and accept answers that
// are not JSON.
type tokenClient struct {
	http   *http.Client
	id     string
	secret secret.String
	scope  string
}

// answer is a successful answer (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3).
type answer struct {
	idToken, accessToken, refreshToken secret.String
}

// redeem exchanges a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
func (c *tokenClient) redeem(ctx context.Context, md *Metadata, code, verifier secret.String, redirectURI string) (*answer, error) {
	return c.post(ctx, md, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code.Reveal()},
		"code_verifier": {verifier.Reveal()},
		"redirect_uri":  {redirectURI},
	})
}

// refresh uses a refresh token (RFC 6749 §6).
func (c *tokenClient) refresh(ctx context.Context, md *Metadata, refreshToken secret.String) (*answer, error) {
	return c.post(ctx, md, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {refreshToken.Reveal()},
	})
}

// post sends one request, once. The scope always goes along: some providers refuse both
// grants without it.
func (c *tokenClient) post(ctx context.Context, md *Metadata, form url.Values) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	inForm, err := md.secretInForm()
	if err != nil {
		return nil, err
	}
	form.Set("scope", c.scope)
	if inForm {
		form.Set("client_id", c.id)
		form.Set("client_secret", c.secret.Reveal())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, md.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !inForm {
		// RFC 6749 §2.3.1: id and secret are form-encoded before they become user name
		// and password.
		r.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret.Reveal()))
	}
	a, err := ask(c.http, r)
	if err != nil {
		return nil, fmt.Errorf("asking the token endpoint: %w", err)
	}
	if a.status != http.StatusOK {
		return nil, parseTokenError(a.status, a.body)
	}
	return parseAnswer(a.body)
}

func parseAnswer(body []byte) (*answer, error) {
	var a struct {
		IDToken      string `json:"id_token"`
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, errors.New("the token endpoint's answer is not the JSON expected")
	}
	// RFC 6749 §5.1: access_token is REQUIRED.
	if a.AccessToken == "" {
		return nil, errors.New("the token endpoint's answer has no access_token")
	}
	return &answer{
		idToken:      secret.New(a.IDToken),
		accessToken:  secret.New(a.AccessToken),
		refreshToken: secret.New(a.RefreshToken),
	}, nil
}
