// SPDX-License-Identifier: Apache-2.0

package oidc_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

const callback = "https://mcp.example.com/oauth/callback"

var noSecret secret.String

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// site is a provider under test with the server that it talks to.
type site struct {
	op    *entratest.OpenID
	p     provider.Provider
	clock *clock.Fake
}

func newSite(t *testing.T, o entratest.OpenIDOptions, change ...func(*oidc.Config)) *site {
	t.Helper()
	s := &site{clock: clock.NewFake(start)}
	o.Now = s.clock.Now
	s.op = entratest.RunOpenID(t, o)
	c := oidc.Config{
		Client: oidc.Client{ClientID: s.op.ClientID(), ClientSecret: secret.New(s.op.ClientSecret()), Scopes: oidc.DefaultScopes()},
		Issuer: s.op.URL(),
		Claims: oidc.ClaimNames{Subject: "sub", Roles: "roles", Groups: "groups", Name: "name", Email: "email"},
	}
	for _, f := range change {
		f(&c)
	}
	s.p = oidc.New(c, env(s.clock, nil))
	return s
}

func env(c *clock.Fake, client *http.Client) provider.Env {
	return provider.Env{Now: c.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler), HTTP: client}
}

// begin takes a sign-in as far as the provider's code.
func (s *site) begin(t *testing.T) provider.ExchangeRequest {
	t.Helper()
	verifier, err := pkce.NewVerifier(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	nonce := secret.New("nonce-of-this-sign-in")
	u, err := s.p.AuthorizationURL(t.Context(), provider.AuthorizationRequest{
		State: "handle", Nonce: nonce, Challenge: pkce.Challenge(verifier), RedirectURI: callback,
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, status := entratest.Visit(t, u)
	if answer.Get("state") != "handle" || answer.Get("code") == "" {
		t.Fatalf("the provider answered %d %v", status, answer)
	}
	return provider.ExchangeRequest{Code: secret.New(answer.Get("code")), Verifier: secret.New(verifier), Nonce: nonce, RedirectURI: callback}
}

func (s *site) signIn(t *testing.T) (*provider.Session, error) {
	t.Helper()
	return s.p.Exchange(t.Context(), s.begin(t))
}

func (s *site) mustSignIn(t *testing.T) *provider.Session {
	t.Helper()
	session, err := s.signIn(t)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func wantRefused(t *testing.T, err error, reason string) *provider.Refused {
	t.Helper()
	var no *provider.Refused
	if !errors.As(err, &no) || no.Reason != reason {
		t.Fatalf("got %v, want a refusal for %q", err, reason)
	}
	return no
}

func wantEnded(t *testing.T, err error, reason string) *provider.Ended {
	t.Helper()
	var no *provider.Ended
	if !errors.As(err, &no) || no.Reason != reason {
		t.Fatalf("got %v, want an end for %q", err, reason)
	}
	return no
}

// wantUnknown demands an error that is no definite no.
func wantUnknown(t *testing.T, err error) {
	t.Helper()
	var refused *provider.Refused
	var ended *provider.Ended
	if err == nil || errors.As(err, &refused) || errors.As(err, &ended) {
		t.Fatalf("got %v, want an unknown outcome", err)
	}
}

// roundTripper is a transport made of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// untilCancelled is a server that never answers.
func untilCancelled(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}
