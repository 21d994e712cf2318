// SPDX-License-Identifier: Apache-2.0

package oidc_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

// TestSec_G10_Outcomes: only the provider's word ends a session, and a failure of the
// provider or of our own credential is none.
func TestSec_G10_Outcomes(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	session := s.mustSignIn(t)
	for _, tt := range []struct {
		name              string
		fault             entratest.Fault
		exchange, refresh string // reason; "" is unknown
	}{
		{"invalid_grant", entratest.Answer(400, "invalid_grant"), "invalid_grant", "invalid_grant"},
		{"interaction_required", entratest.Answer(400, "interaction_required"), "interaction_required", "interaction_required"},
		{"consent_required", entratest.Answer(400, "consent_required"), "consent_required", "consent_required"},
		{"login_required", entratest.Answer(400, "login_required"), "login_required", "login_required"},
		{"invalid_client", entratest.Answer(401, "invalid_client"), "configuration", ""},
		{"unauthorized_client", entratest.Answer(400, "unauthorized_client"), "configuration", ""},
		{"invalid_scope", entratest.Answer(400, "invalid_scope"), "configuration", ""},
		{"invalid_request", entratest.Answer(400, "invalid_request"), "configuration", ""},
		{"temporarily_unavailable", entratest.Answer(400, "temporarily_unavailable"), "", ""},
		{"server_error", entratest.Answer(400, "server_error"), "", ""},
		{"a code nobody knows", entratest.Answer(400, "session_sad"), "", ""},
		{"invalid_grant of a broken server", entratest.Answer(500, "invalid_grant"), "", ""},
		{"invalid_grant of a throttle", entratest.Answer(429, "invalid_grant"), "", ""},
		{"invalid_grant with success", entratest.Answer(200, "invalid_grant"), "", ""},
		{"throttled", entratest.Throttled(), "", ""},
		{"outage", entratest.Outage(), "", ""},
		{"no JSON", entratest.Fault{Status: 400, Body: "<html>invalid_grant"}, "", ""},
		{"error is not text", entratest.Fault{Status: 400, Body: `{"error":["invalid_grant"]}`}, "", ""},
		{"empty success", entratest.Fault{Status: 200, Body: `{}`}, "", ""},
		{"garbage success", entratest.Fault{Status: 200, Body: `garbage`}, "", ""},
		{"no content", entratest.Fault{Status: 204}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := s.begin(t)
			s.op.Break(entratest.Token, tt.fault)
			defer s.op.Mend(entratest.Token)
			_, err := s.p.Exchange(t.Context(), r)
			if tt.exchange == "" {
				wantUnknown(t, err)
			} else {
				wantRefused(t, err, tt.exchange)
			}
			_, err = s.p.Refresh(t.Context(), session.RefreshToken)
			if tt.refresh == "" {
				wantUnknown(t, err)
			} else {
				wantEnded(t, err, tt.refresh)
			}
			// The same token works when the provider does.
			s.op.Mend(entratest.Token)
			if _, err := s.p.Refresh(t.Context(), session.RefreshToken); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

func TestReferenceAndLogText(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	session := s.mustSignIn(t)
	s.op.Break(entratest.Token, entratest.Answer(400, "invalid_grant", 50173))
	_, err := s.p.Refresh(t.Context(), session.RefreshToken)
	if ref := wantEnded(t, err, "invalid_grant").Reference; ref != "c0ffee00-0000-4000-8000-000000000001" {
		t.Errorf("reference is %q", ref)
	}
	if text := err.Error(); strings.Contains(text, "anna@") || !strings.Contains(text, "50173") {
		t.Errorf("the text for the log is %q", text)
	}
	s.op.Break(entratest.Token, entratest.Fault{Status: 400, Body: `{"error":"invalid_grant","correlation_id":"<script>alert(1)</script>"}`})
	_, err = s.p.Refresh(t.Context(), session.RefreshToken)
	if ref := wantEnded(t, err, "invalid_grant").Reference; ref != "" {
		t.Errorf("reference is %q, want none", ref)
	}
}

func TestSec_G10_HangingProviderIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := oidc.New(oidc.Config{Issuer: "https://login.example.com"}, env(clock.NewFake(start), &http.Client{Transport: roundTripper(untilCancelled)}))
		began := time.Now()
		_, err := p.Refresh(t.Context(), secret.New("token"))
		wantUnknown(t, err)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("gave up after %v, want 5 s", took)
		}
	})
}

// TestSec_G13_SecretsAtProvider: the secret travels one way, once, and in no URL.
func TestSec_G13_SecretsAtProvider(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		methods []string
		basic   bool
	}{
		{"default is basic", nil, true},
		{"basic", []string{"client_secret_basic"}, true},
		{"post", []string{"client_secret_post"}, false},
		{"both", []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const awkward = "s3cr+t %&=:/x"
			s := newSite(t, entratest.OpenIDOptions{AuthMethods: tt.methods, ClientID: "id:with colon", ClientSecret: awkward})
			session := s.mustSignIn(t)
			if _, err := s.p.Refresh(t.Context(), session.RefreshToken); err != nil {
				t.Fatal(err)
			}
			for _, r := range s.op.Requests(entratest.Token) {
				_, _, basic := (&http.Request{Header: r.Header}).BasicAuth()
				if basic != tt.basic || r.Form.Has("client_secret") == tt.basic {
					t.Errorf("%s: basic is %v, form has %v", r.Form.Get("grant_type"), basic, r.Form)
				}
				if r.Form.Get("scope") != "openid profile email offline_access" {
					t.Errorf("%s has scope %q", r.Form.Get("grant_type"), r.Form.Get("scope"))
				}
				if r.Header.Get("Origin") != "" || r.Header.Get("Cookie") != "" || r.Form.Has("resource") {
					t.Errorf("too much was sent: %v %v", r.Header, r.Form)
				}
			}
			for _, r := range s.op.Requests("") {
				if len(r.Query) > 0 && (r.Endpoint != entratest.Authorize || r.Query.Has("client_secret")) {
					t.Errorf("%s has query %v", r.Endpoint, r.Query)
				}
			}
		})
	}
}

func TestSec_G13_RefusedSecretIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{}, func(c *oidc.Config) { c.ClientSecret = secret.New("wrong") })
	_, err := s.signIn(t)
	wantRefused(t, err, "configuration")
	if n := len(s.op.Requests(entratest.Token)); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestSec_G13_UnsupportedAuthMethod(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{AuthMethods: []string{"private_key_jwt"}})
	wantUnknown(t, s.p.Warm(t.Context()))
}

func TestSec_G13_RedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	t.Cleanup(thief.Close)
	s := newSite(t, entratest.OpenIDOptions{})
	session := s.mustSignIn(t)
	away := entratest.Fault{Status: http.StatusTemporaryRedirect, Header: map[string]string{"Location": thief.URL}}
	s.op.Break(entratest.Token, away)
	_, err := s.p.Refresh(t.Context(), session.RefreshToken)
	wantUnknown(t, err)
	s.op.Break(entratest.Metadata, away)
	s.clock.Advance(25 * time.Hour)
	wantUnknown(t, s.p.Warm(t.Context()))
	if stolen.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// TestSec_G15_AnswersAreBounded: no more than a little over 1 MiB of any answer is read.
func TestSec_G15_AnswersAreBounded(t *testing.T) {
	t.Parallel()
	const huge = 100 << 20
	for _, e := range []entratest.Endpoint{entratest.Metadata, entratest.Keys, entratest.Token} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			var read atomic.Int64
			s := newSite(t, entratest.OpenIDOptions{})
			counted := roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := http.DefaultTransport.RoundTrip(r)
				if err == nil {
					resp.Body = &countingBody{resp.Body, &read}
				}
				return resp, err
			})
			p := oidc.New(oidc.Config{
				Issuer: s.op.URL(), Client: oidc.Client{ClientID: s.op.ClientID(), ClientSecret: secret.New(s.op.ClientSecret()), Scopes: oidc.DefaultScopes()},
			}, env(s.clock, &http.Client{Transport: counted}))
			for _, status := range []int{200, 400} {
				s.op.Break(e, entratest.Fault{Status: status, Size: huge})
				err := p.Warm(t.Context())
				if e == entratest.Token {
					_, err = p.Refresh(t.Context(), secret.New("token"))
				}
				wantUnknown(t, err)
			}
			if n := read.Load(); n > 3<<20 {
				t.Errorf("%d bytes were read", n)
			}
		})
	}
}

type countingBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}
