// SPDX-License-Identifier: Apache-2.0

// Package oidc signs people in at an OpenID Connect provider, found by discovery. Its
// RelyingParty is the engine that provider/entra shares: discovery, token endpoint, keys
// and the checks of ID tokens. What differs between providers is a Dialect.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// Dialect is where providers that speak OpenID Connect differ.
type Dialect interface {
	// Name is provider.Provider's.
	Name() string
	// DiscoveryURL is where the discovery document is.
	DiscoveryURL() string
	// CheckMetadata tells whether a discovery document is the one expected, its issuer
	// above all.
	CheckMetadata(*Metadata) error
	// Algorithms are the signature algorithms allowed for ID tokens.
	Algorithms(*Metadata) []string
	// IssuerIsOwn tells that Person checks the issuer of the token; otherwise it has to
	// be the issuer of the discovery document.
	IssuerIsOwn() bool
	// SelectsAccount tells whether the provider understands prompt=select_account.
	SelectsAccount(*Metadata) bool
	// Missing are the claims that the ID token lacks and that the userinfo endpoint may
	// have; none where the endpoint is of no use.
	Missing(*IDToken) []string
	// Person reads who signed in. An error means that the token is not acceptable.
	Person(*IDToken) (provider.Person, error)
	// Transient tells whether an answer that looks definite is a passing failure, or one of
	// ours: it says nothing about the person.
	Transient(*TokenError) bool
}

// Client is our registration at the provider.
type Client struct {
	ClientID     string
	ClientSecret secret.String
	// Scopes are sent with every request; openid is one of them.
	Scopes []string
	// Prompt is the prompt parameter of every sign-in; "" leaves it to the provider.
	Prompt string
}

// RelyingParty implements provider.Provider for every Dialect.
type RelyingParty struct {
	dialect  Dialect
	config   Client
	now      func() time.Time
	log      *slog.Logger
	http     *http.Client
	tokens   tokenClient
	metadata remote[*Metadata]
	keys     remote[keySet]

	withoutRefresh sync.Once // for the warning of the first sign-in without a refresh token
}

// NewRelyingParty returns a provider. It dials nothing.
func NewRelyingParty(d Dialect, c Client, env provider.Env) *RelyingParty {
	client := newClient(env.HTTP)
	rp := &RelyingParty{
		dialect: d, config: c, now: env.Now, log: env.Log, http: client,
		tokens: tokenClient{http: client, id: c.ClientID, secret: c.ClientSecret, scope: strings.Join(c.Scopes, " ")},
	}
	rp.metadata = remote[*Metadata]{fetch: rp.discover, now: env.Now}
	rp.keys = remote[keySet]{fetch: rp.fetchKeys, now: env.Now}
	return rp
}

// discover fetches the discovery document (OpenID Connect Discovery §4).
func (rp *RelyingParty) discover(ctx context.Context) (*Metadata, error) {
	md := new(Metadata)
	err := getJSON(ctx, rp.http, rp.dialect.DiscoveryURL(), md)
	if err == nil {
		_, authErr := md.secretInForm()
		err = errors.Join(md.checkEndpoints(), authErr, rp.dialect.CheckMetadata(md))
	}
	if err != nil {
		rp.log.Warn("discovering the sign-in provider failed", "provider", rp.dialect.Name(), "error", err)
		return nil, fmt.Errorf("discovering the provider: %w", err)
	}
	return md, nil
}

func (rp *RelyingParty) fetchKeys(ctx context.Context) (keySet, error) {
	md, err := rp.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	var set keySet
	if err := getJSON(ctx, rp.http, md.JWKSURI, &set); err != nil {
		rp.log.Warn("fetching the keys of the sign-in provider failed", "provider", rp.dialect.Name(), "error", err)
		return nil, err
	}
	return set, nil
}

// Name implements provider.Provider.
func (rp *RelyingParty) Name() string { return rp.dialect.Name() }

// Warm implements provider.Provider.
func (rp *RelyingParty) Warm(ctx context.Context) error {
	if _, err := rp.metadata.get(ctx); err != nil {
		return err
	}
	_, err := rp.keys.get(ctx)
	return err
}

// AuthorizationURL implements provider.Provider (OpenID Connect Core §3.1.2.1, RFC 7636
// §4.3).
func (rp *RelyingParty) AuthorizationURL(ctx context.Context, r provider.AuthorizationRequest) (string, error) {
	md, err := rp.metadata.get(ctx)
	if err != nil {
		return "", err
	}
	request := oauth2.Config{
		ClientID:    rp.config.ClientID,
		Endpoint:    oauth2.Endpoint{AuthURL: md.AuthorizationEndpoint},
		RedirectURL: r.RedirectURI,
		Scopes:      rp.config.Scopes,
	}
	options := []oauth2.AuthCodeOption{
		oauth2.SetAuthURLParam("nonce", r.Nonce.Reveal()),
		oauth2.SetAuthURLParam("code_challenge", r.Challenge),
		oauth2.SetAuthURLParam("code_challenge_method", "S256"),
	}
	if p := rp.prompt(md, r.SelectAccount); p != "" {
		options = append(options, oauth2.SetAuthURLParam("prompt", p))
	}
	return request.AuthCodeURL(r.State, options...), nil
}

// prompt prefers what the administrator configured: each of those values already makes
// the provider stop for the person, which is what selectAccount is for.
func (rp *RelyingParty) prompt(md *Metadata, selectAccount bool) string {
	if rp.config.Prompt == "" && selectAccount && rp.dialect.SelectsAccount(md) {
		return promptSelectAccount
	}
	return rp.config.Prompt
}

// Exchange implements provider.Provider.
func (rp *RelyingParty) Exchange(ctx context.Context, r provider.ExchangeRequest) (*provider.Session, error) {
	if r.Nonce.IsZero() || r.Verifier.IsZero() {
		return nil, errors.New("a sign-in without nonce or verifier cannot be completed")
	}
	md, err := rp.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	if err := md.checkResponseIssuer(r.ResponseIssuer); err != nil {
		return nil, &provider.Refused{Reason: reasonResponseIssuer, Cause: err}
	}
	a, err := rp.tokens.redeem(ctx, md, r.Code, r.Verifier, r.RedirectURI)
	if err != nil {
		return nil, rp.exchangeFailed(err)
	}
	person, err := rp.person(ctx, md, a, &r.Nonce)
	if errors.Is(err, errInvalid) {
		return nil, &provider.Refused{Reason: reasonIDToken, Cause: err}
	}
	if err != nil {
		return nil, fmt.Errorf("verifying the ID token: %w", err)
	}
	if a.refreshToken.IsZero() {
		// OpenID Connect Core §11: without prompt=consent a provider may ignore offline_access.
		rp.withoutRefresh.Do(func() {
			rp.log.Warn("the provider returned no refresh token, so sign-ins go on unchecked after an account is disabled; "+
				"ask for the scope offline_access and, where the provider wants it, set prompt to consent", "provider", rp.dialect.Name())
		})
	}
	return &provider.Session{Person: person, RefreshToken: a.refreshToken}, nil
}

// Refresh implements provider.Provider. An ID token that does not verify is unknown: the
// provider did not say no.
func (rp *RelyingParty) Refresh(ctx context.Context, refreshToken secret.String) (*provider.Session, error) {
	md, err := rp.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	a, err := rp.tokens.refresh(ctx, md, refreshToken)
	if err != nil {
		return nil, rp.refreshFailed(err)
	}
	// RFC 6749 §6: a new refresh token MAY be issued; without one the old stays in use.
	session := &provider.Session{RefreshToken: a.refreshToken}
	if a.refreshToken.IsZero() {
		session.RefreshToken = refreshToken
	}
	if a.idToken.IsZero() {
		return session, nil
	}
	if session.Person, err = rp.person(ctx, md, a, nil); err != nil {
		return nil, fmt.Errorf("verifying the ID token of a refresh: %w", err)
	}
	return session, nil
}

func (rp *RelyingParty) person(ctx context.Context, md *Metadata, a *answer, nonce *secret.String) (provider.Person, error) {
	t, err := rp.verify(ctx, md, a, nonce)
	if err != nil {
		return provider.Person{}, err
	}
	if err := rp.addUserInfo(ctx, md, t, a.accessToken); err != nil {
		return provider.Person{}, err
	}
	p, err := rp.dialect.Person(t)
	if err != nil {
		return provider.Person{}, invalid("%w", err)
	}
	if p.AuthTime, err = t.Claims.Time("auth_time"); err != nil {
		return provider.Person{}, invalid("%w", err)
	}
	return p, nil
}
