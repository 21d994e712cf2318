// SPDX-License-Identifier: Apache-2.0

package oidc_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	session := s.mustSignIn(t)
	anna := entratest.DefaultUsers()[0]
	want := provider.Person{
		Subject: anna.ObjectID, Issuer: s.op.URL(), Name: anna.Name, PreferredUsername: anna.Username,
		Email: anna.Email, EmailVerified: true, Roles: anna.Roles, AuthTime: start,
	}
	if !reflect.DeepEqual(session.Person, want) {
		t.Errorf("person is %+v, want %+v", session.Person, want)
	}
	if session.RefreshToken.IsZero() {
		t.Error("there is no refresh token")
	}
}

func TestAuthorizationURL(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{}, func(c *oidc.Config) { c.Scopes = []string{"openid", "groups"} })
	raw, err := s.p.AuthorizationURL(t.Context(), provider.AuthorizationRequest{
		State: "handle", Nonce: secret.New("nonce"), Challenge: "challenge", RedirectURI: callback, SelectAccount: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	// Exactly these: whatever else was sent upstream would be the client's.
	want := url.Values{
		"response_type": {"code"}, "client_id": {"mcp"}, "redirect_uri": {callback}, "scope": {"openid groups"}, "state": {"handle"},
		"nonce": {"nonce"}, "code_challenge": {"challenge"}, "code_challenge_method": {"S256"},
	}
	if got := u.Query(); !reflect.DeepEqual(got, want) {
		t.Errorf("query is %v, want %v", got, want)
	}
	if got := u.Scheme + "://" + u.Host + u.Path; got != s.op.URL()+"/authorize" {
		t.Errorf("endpoint is %s", got)
	}
}

func TestPrompt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, configured string
		supported        []string
		selectAccount    bool
		want             string
	}{
		{"nothing", "", nil, false, ""},
		{"not supported", "", nil, true, ""},
		{"supported", "", []string{"none", "select_account"}, true, "select_account"},
		{"not asked for", "", []string{"select_account"}, false, ""},
		{"configured", "login consent", nil, false, "login consent"},
		{"configured wins", "login", []string{"select_account"}, true, "login"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, entratest.OpenIDOptions{Prompts: tt.supported}, func(c *oidc.Config) { c.Prompt = tt.configured })
			raw, err := s.p.AuthorizationURL(t.Context(), provider.AuthorizationRequest{State: "s", SelectAccount: tt.selectAccount})
			if err != nil {
				t.Fatal(err)
			}
			u, _ := url.Parse(raw)
			if got := u.Query().Get("prompt"); got != tt.want {
				t.Errorf("prompt is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	session := s.mustSignIn(t)
	username := entratest.DefaultUsers()[0].Username
	s.op.Change(username, func(u *entratest.User) { u.Roles = []string{"other"} })
	s.clock.Advance(48 * time.Hour)
	again, err := s.p.Refresh(t.Context(), session.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Person.Roles, []string{"other"}) || again.Person.Subject != session.Person.Subject {
		t.Errorf("person is %+v", again.Person)
	}
	if again.RefreshToken.IsZero() || again.RefreshToken.Equal(session.RefreshToken) {
		t.Error("the new refresh token was not taken over")
	}
	s.op.Disable(username)
	_, err = s.p.Refresh(t.Context(), again.RefreshToken)
	wantEnded(t, err, "invalid_grant")
}

func TestRefreshWithoutNewToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	session := s.mustSignIn(t)
	s.op.WithoutRefreshTokens()
	again, err := s.p.Refresh(t.Context(), session.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if !again.RefreshToken.Equal(session.RefreshToken) {
		t.Error("the refresh token was not kept")
	}
	if first := s.mustSignIn(t); !first.RefreshToken.IsZero() {
		t.Error("a refresh token came from nowhere")
	}
}

func TestWarnsOnceWithoutRefreshToken(t *testing.T) {
	t.Parallel()
	var c oidc.Config
	s := newSite(t, entratest.OpenIDOptions{}, func(made *oidc.Config) { c = *made })
	var log bytes.Buffer
	e := env(s.clock, nil)
	e.Log = slog.New(slog.NewTextHandler(&log, nil))
	s.p = oidc.New(c, e)
	for i, want := range []int{0, 1, 1} {
		if i == 1 {
			s.op.WithoutRefreshTokens()
		}
		s.mustSignIn(t)
		if got := strings.Count(log.String(), "returned no refresh token"); got != want {
			t.Fatalf("after sign-in %d there are %d warnings, want %d:\n%s", i, got, want, log.String())
		}
	}
}

func TestRefreshWithoutIDToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	session := s.mustSignIn(t)
	s.op.Break(entratest.Token, entratest.Fault{Status: 200, Body: `{"access_token":"a","token_type":"Bearer"}`})
	again, err := s.p.Refresh(t.Context(), session.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Person, provider.Person{}) {
		t.Errorf("person is %+v, want none", again.Person)
	}
	// At sign-in an ID token is REQUIRED (OpenID Connect Core §3.1.3.3).
	_, err = s.signIn(t)
	wantRefused(t, err, "id_token")
}

func TestClaimNames(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{}, func(c *oidc.Config) {
		c.Claims = oidc.ClaimNames{Subject: "employee", Roles: "realm_access.roles", Groups: "https://example.com/groups", Name: "nickname", Email: "mail"}
	})
	s.op.Forge(func(t *entratest.IDToken) {
		t.Claims["employee"] = "e-17"
		t.Claims["realm_access"] = map[string]any{"roles": []string{"a", "b"}}
		t.Claims["https://example.com/groups"] = "one"
		t.Claims["nickname"] = "Nick"
		t.Claims["mail"] = "nick@example.com"
	})
	got := s.mustSignIn(t).Person
	if got.Subject != "e-17" || !slices.Equal(got.Roles, []string{"a", "b"}) || !slices.Equal(got.Groups, []string{"one"}) || got.Name != "Nick" {
		t.Errorf("person is %+v", got)
	}
	if got.Email != "nick@example.com" || got.EmailVerified {
		t.Errorf("email_verified of another claim made %q verified", got.Email)
	}
	s.op.Forge(nil)
	_, err := s.signIn(t)
	wantRefused(t, err, "id_token") // the subject is absent
}

func TestEmailVerified(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		value any
		want  bool
	}{
		{"true", true, true},
		{"text", "true", true},
		{"false", false, false},
		{"text false", "false", false},
		{"absent", nil, false},
		{"one", 1, false},
		{"list", []bool{true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, entratest.OpenIDOptions{Document: func(d map[string]any) { delete(d, "userinfo_endpoint") }})
			s.op.Forge(func(t *entratest.IDToken) {
				t.Claims["email_verified"] = tt.value
				if tt.value == nil {
					delete(t.Claims, "email_verified")
				}
			})
			if got := s.mustSignIn(t).Person.EmailVerified; got != tt.want {
				t.Errorf("verified is %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSecondUseOfCode(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	r := s.begin(t)
	if _, err := s.p.Exchange(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, err := s.p.Exchange(t.Context(), r)
	wantRefused(t, err, "invalid_grant")
}

func TestNameIsHost(t *testing.T) {
	t.Parallel()
	p := oidc.New(oidc.Config{Issuer: "https://login.example.com/realm"}, provider.Env{})
	if got := p.Name(); got != "login.example.com" {
		t.Errorf("name is %q", got)
	}
}
