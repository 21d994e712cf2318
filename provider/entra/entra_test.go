// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{entratest.DefaultTenant, entratest.DefaultDomain} {
		t.Run(tenant, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) { c.Tenant = tenant })
			session := s.mustSignIn(t)
			want := provider.Person{
				Subject: entratest.DefaultTenant + "." + anna.ObjectID, Issuer: s.e.URL() + "/" + entratest.DefaultTenant + "/v2.0",
				Tenant: entratest.DefaultTenant, ObjectID: anna.ObjectID, Name: anna.Name, PreferredUsername: anna.Username,
				Email: anna.Email, EmailVerified: true, Roles: anna.Roles,
			}
			if !reflect.DeepEqual(session.Person, want) {
				t.Errorf("person is %+v, want %+v", session.Person, want)
			}
			if session.RefreshToken.IsZero() {
				t.Error("there is no refresh token")
			}
		})
	}
}

func TestUpstreamSeesNothingOfTheClient(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	session := s.mustSignIn(t)
	if _, err := s.p.Refresh(t.Context(), session.RefreshToken); err != nil {
		t.Fatal(err)
	}
	authorize := s.e.Requests(entratest.Authorize)[0].Query
	for _, own := range []string{"state", "nonce", "code_challenge"} {
		if authorize.Get(own) == "" {
			t.Errorf("%s was not sent", own)
		}
		authorize.Del(own)
	}
	want := url.Values{
		"response_type": {"code"}, "client_id": {s.e.ClientID()}, "redirect_uri": {callback}, "scope": {"openid profile email offline_access"},
		"code_challenge_method": {"S256"}, "prompt": {"select_account"},
	}
	if !reflect.DeepEqual(authorize, want) {
		t.Errorf("authorize has %v, want %v", authorize, want)
	}
	for i, names := range [][]string{
		{"client_id", "client_secret", "code", "code_verifier", "grant_type", "redirect_uri", "scope"},
		{"client_id", "client_secret", "grant_type", "refresh_token", "scope"},
	} {
		r := s.e.Requests(entratest.Token)[i]
		var got []string
		for name := range r.Form {
			got = append(got, name)
		}
		slices.Sort(got)
		if !slices.Equal(got, names) || r.Form.Get("scope") != want.Get("scope") || len(r.Query) > 0 {
			t.Errorf("token has %v and query %v, want %v", got, r.Query, names)
		}
	}
}

func TestPrompt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		configured string
		choose     bool
		want       string
	}{{"", false, ""}, {"", true, "select_account"}, {"login", true, "login"}, {"consent", false, "consent"}} {
		s := newSite(t, func(c *Config) { c.Prompt = tt.configured })
		raw, err := s.p.AuthorizationURL(t.Context(), provider.AuthorizationRequest{State: "s", SelectAccount: tt.choose})
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(raw)
		if got := u.Query().Get("prompt"); got != tt.want {
			t.Errorf("%+v: prompt is %q", tt, got)
		}
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	session := s.mustSignIn(t)
	s.e.Change(anna.Username, func(u *entratest.User) { u.Roles = []string{"New"}; u.Name = "Anna Neu" })
	s.clock.Advance(80 * 24 * time.Hour)
	again, err := s.p.Refresh(t.Context(), session.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if again.Person.Subject != session.Person.Subject || again.Person.Name != "Anna Neu" || !slices.Equal(again.Person.Roles, []string{"New"}) {
		t.Errorf("person is %+v", again.Person)
	}
	if again.RefreshToken.Equal(session.RefreshToken) {
		t.Error("the new refresh token was not taken over")
	}
}

func TestRefreshEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*site){
		"disabled":   func(s *site) { s.e.Disable(anna.Username) },
		"unassigned": func(s *site) { s.e.Change(anna.Username, func(u *entratest.User) { u.Unassigned = true }) },
		"revoked":    func(s *site) { s.e.RevokeSessions(anna.Username) },
		"inactive":   func(s *site) { s.clock.Advance(91 * 24 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			session := s.mustSignIn(t)
			end(s)
			_, err := s.p.Refresh(t.Context(), session.RefreshToken)
			if no := wantEnded(t, err); no.Reason != "invalid_grant" || no.Reference == "" {
				t.Errorf("got %+v, want invalid_grant with the correlation id", no)
			}
		})
	}
}

// TestSec_G10_ThrottlingLooksLikeAnEnd: Microsoft answers invalid_grant to a client that
// asks too often, and to our own broken credential; neither is about the person.
func TestSec_G10_ThrottlingLooksLikeAnEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	session := s.mustSignIn(t)
	for name, tt := range map[string]struct {
		fault    entratest.Fault
		exchange string // reason of the refusal; "" is unknown
	}{
		"loop":             {entratest.Looping(), ""},
		"tenant throttled": {entratest.Answer(400, "invalid_grant", 90055), ""},
		"transient":        {entratest.Answer(400, "invalid_grant", 90024), ""},
		"one of several":   {entratest.Answer(400, "interaction_required", 70000, 90033), ""},
		"throttled":        {entratest.Throttled(), ""},
		"outage":           {entratest.Outage(), ""},
		"secret wrong":     {entratest.Answer(401, "invalid_client", 7000215), "configuration"},
		"secret expired":   {entratest.Answer(401, "invalid_client", 7000222), "configuration"},
		"app disabled":     {entratest.Answer(400, "unauthorized_client", 700016), "configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.begin(t)
			s.e.Break(entratest.Token, tt.fault)
			_, err := s.p.Refresh(t.Context(), session.RefreshToken)
			wantUnknown(t, err)
			_, err = s.p.Exchange(t.Context(), r)
			if tt.exchange == "" {
				wantUnknown(t, err)
			} else {
				wantRefused(t, err, tt.exchange)
			}
			s.e.Mend(entratest.Token)
			if _, err := s.p.Refresh(t.Context(), session.RefreshToken); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

func TestSec_G10_TerminalErrorsEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	session := s.mustSignIn(t)
	for _, code := range []string{"invalid_grant", "interaction_required", "consent_required", "login_required"} {
		s.e.Break(entratest.Token, entratest.Answer(400, code, 50076))
		_, err := s.p.Refresh(t.Context(), session.RefreshToken)
		if got := wantEnded(t, err).Reason; got != code {
			t.Errorf("%s: reason is %q", code, got)
		}
	}
}

func TestWrongSecretAtSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.ClientSecret = secret.New("wrong") })
	_, err := s.signIn(t)
	if no := wantRefused(t, err, "configuration"); no.Reference == "" {
		t.Error("the correlation id is missing")
	}
}

func TestWrongVerifier(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.begin(t)
	good := r.Verifier
	r.Verifier = secret.New("another-verifier-another-verifier-another-verifier")
	_, err := s.p.Exchange(t.Context(), r)
	wantRefused(t, err, "invalid_grant")
	r.Verifier = good
	if _, err := s.p.Exchange(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, err = s.p.Exchange(t.Context(), r)
	wantRefused(t, err, "invalid_grant")
}

func TestWithoutRefreshToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.Scopes = []string{"openid", "profile"} })
	if session := s.mustSignIn(t); !session.RefreshToken.IsZero() || session.Person.Email != "" {
		t.Errorf("got %+v", session)
	}
}

func TestOwnResourceScope(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) {
		c.Scopes = append(oidc.DefaultScopes(), entratest.DefaultClientID+"/MCP.Access")
	})
	session := s.mustSignIn(t)
	if _, err := s.p.Refresh(t.Context(), session.RefreshToken); err != nil {
		t.Error(err)
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mustSignIn(t)
	s.clock.Advance(11 * time.Second)
	s.e.RotateKeys(true)
	s.mustSignIn(t)
}
