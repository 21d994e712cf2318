// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"crypto/rand"
	"errors"
	"log/slog"
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

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	anna  = entratest.DefaultUsers()[0]
	ben   = entratest.DefaultUsers()[1]
	gita  = entratest.DefaultUsers()[2]
)

// site is the provider under test with the emulator that it talks to.
type site struct {
	e     *entratest.Emulator
	p     provider.Provider
	clock *clock.Fake
}

func newSite(t *testing.T, change ...func(*Config)) *site {
	t.Helper()
	s := &site{clock: clock.NewFake(start)}
	s.e = entratest.Run(t, entratest.Options{Now: s.clock.Now, RedirectURIs: []string{callback}})
	s.e.SignInAs(anna.Username)
	c := Config{
		Client: oidc.Client{ClientID: s.e.ClientID(), ClientSecret: secret.New(s.e.ClientSecret()), Scopes: oidc.DefaultScopes()},
		Tenant: s.e.Tenant(), Authority: s.e.URL(),
	}
	for _, f := range change {
		f(&c)
	}
	s.p = New(c, provider.Env{Now: s.clock.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	return s
}

// begin takes a sign-in as far as Microsoft's code.
func (s *site) begin(t *testing.T) provider.ExchangeRequest {
	t.Helper()
	verifier, err := pkce.NewVerifier(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	nonce := secret.New("nonce-of-this-sign-in")
	u, err := s.p.AuthorizationURL(t.Context(), provider.AuthorizationRequest{
		State: "handle", Nonce: nonce, Challenge: pkce.Challenge(verifier), RedirectURI: callback, SelectAccount: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, status := entratest.Visit(t, u)
	if answer.Get("state") != "handle" || answer.Get("code") == "" {
		t.Fatalf("the emulator answered %d %v", status, answer)
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

func wantEnded(t *testing.T, err error) *provider.Ended {
	t.Helper()
	var no *provider.Ended
	if !errors.As(err, &no) {
		t.Fatalf("got %v, want an end", err)
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
