// SPDX-License-Identifier: Apache-2.0

package oidc_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

func verified() entratest.User {
	u := entratest.DefaultUsers()[0]
	u.DomainVerified, u.Roles = true, []string{"Reader"}
	return u
}

// A provider that keeps to OpenID Connect Core §5.4 states name, address and roles at its
// userinfo endpoint alone.
func TestThinIDToken(t *testing.T) {
	t.Parallel()
	u := verified()
	s := newSite(t, entratest.OpenIDOptions{ThinIDToken: true, Users: []entratest.User{u}})
	session, err := s.signIn(t)
	if err != nil {
		t.Fatal(err)
	}
	refreshed, err := s.p.Refresh(t.Context(), session.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []provider.Person{session.Person, refreshed.Person} {
		if p.Subject != u.ObjectID || p.Name != u.Name || p.Email != u.Email || !p.EmailVerified || len(p.Roles) != 1 {
			t.Errorf("person %+v", p)
		}
	}
}

func TestFullIDTokenNeedsNoUserInfo(t *testing.T) {
	t.Parallel()
	u := verified()
	u.Groups = []string{"g"}
	s := newSite(t, entratest.OpenIDOptions{Users: []entratest.User{u}})
	if _, err := s.signIn(t); err != nil {
		t.Fatal(err)
	}
	if n := len(s.op.Requests(entratest.UserInfo)); n != 0 {
		t.Errorf("%d requests to the userinfo endpoint", n)
	}
}

// elsewhere makes the discovery document name a userinfo endpoint of the test's own.
func elsewhere(t *testing.T, status int, contentType, body string) *site {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(srv.Close)
	return newSite(t, entratest.OpenIDOptions{
		ThinIDToken: true,
		Document:    func(d map[string]any) { d["userinfo_endpoint"] = srv.URL },
	})
}

func TestSec_G06_UserInfoOfAnotherPerson(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"another subject": `{"sub":"somebody-else","email":"admin@example.com","email_verified":true}`,
		"no subject":      `{"email":"admin@example.com","email_verified":true}`,
	} {
		_, err := elsewhere(t, 200, "application/json", body).signIn(t)
		if no := new(provider.Refused); !errors.As(err, &no) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUserInfoOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status      int
		contentType string
		body        string
		unknown     bool
	}{
		"outage":        {503, "text/html", "down", true},
		"throttled":     {429, "application/json", `{}`, true},
		"garbage":       {200, "application/json", `{"sub":`, true},
		"maintenance":   {200, "text/html; charset=utf-8", "<p>We are back soon", true},
		"redirect":      {302, "text/html", "", true},
		"wants browser": {403, "text/html", "<script>", true},
		"timeout":       {408, "text/plain", "", true},
		"no endpoint":   {404, "text/html", "<h1>Not Found", false},
		"no token":      {401, "text/html", "<h1>Unauthorized", false},
		"refused":       {403, "application/json", `{"error":"insufficient_scope"}`, false},
		"signed answer": {200, "application/jwt", "a.b.c", false},
	} {
		session, err := elsewhere(t, c.status, c.contentType, c.body).signIn(t)
		switch {
		case c.unknown && (err == nil || errors.As(err, new(*provider.Refused))):
			t.Errorf("%s: %v is not an unknown outcome", name, err)
		case !c.unknown && (err != nil || session.Person.Subject == "" || session.Person.Email != ""):
			t.Errorf("%s: %+v, %v", name, session, err)
		}
	}
}

// An address in the ID token is verified by the ID token, or by a userinfo answer about
// the same address; another address there proves nothing.
func TestSec_G01_VerificationOfAnotherAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{}, func(c *oidc.Config) { c.Claims.Roles = "no_such_claim" })
	s.op.Forge(func(t *entratest.IDToken) {
		t.Claims["email"] = "mallory@example.com"
		delete(t.Claims, "email_verified")
	})
	session, err := s.signIn(t)
	if err != nil {
		t.Fatal(err)
	}
	if session.Person.EmailVerified || session.Person.Email != "mallory@example.com" {
		t.Errorf("person %+v", session.Person)
	}
}

// A provider that takes each refresh token once has replaced it before it fails to say who
// the person is. Whoever asked with the former one next would be told no.
func TestSec_G10_ReplacedTokenOutlivesAFailure(t *testing.T) {
	t.Parallel()
	status := make(chan int, 3)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(<-status) }))
	t.Cleanup(srv.Close)
	s := newSite(t, entratest.OpenIDOptions{
		ThinIDToken: true,
		Document:    func(d map[string]any) { d["userinfo_endpoint"] = srv.URL },
	})
	status <- http.StatusForbidden
	first := s.mustSignIn(t)
	status <- http.StatusBadGateway
	failed, err := s.p.Refresh(t.Context(), first.RefreshToken)
	wantUnknown(t, err)
	if failed == nil || failed.Person.Subject != "" || failed.RefreshToken.IsZero() || failed.RefreshToken.Equal(first.RefreshToken) {
		t.Fatalf("the new token is lost: %+v", failed)
	}
	status <- http.StatusForbidden
	if again, err := s.p.Refresh(t.Context(), failed.RefreshToken); err != nil || again.Person.Subject != first.Person.Subject {
		t.Errorf("%+v, %v", again, err)
	}
}
