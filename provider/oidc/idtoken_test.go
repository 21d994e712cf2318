// SPDX-License-Identifier: Apache-2.0

package oidc_test

import (
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

// refuseAll demands that no forged token signs anybody in, and that a forged token in a
// refresh neither succeeds nor ends the session: the provider did not say no.
func refuseAll(t *testing.T, forgeries []entratest.Forgery, atRefresh func(name string) bool) {
	for _, f := range forgeries {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, entratest.OpenIDOptions{})
			session := s.mustSignIn(t)
			s.op.Forge(f.Forge)
			_, err := s.signIn(t)
			wantRefused(t, err, "id_token")
			if atRefresh(f.Name) {
				_, err = s.p.Refresh(t.Context(), session.RefreshToken)
				wantUnknown(t, err)
			}
		})
	}
}

// exceptNonce: the ID token of a refresh has no nonce (OpenID Connect Core §12.2).
func exceptNonce(name string) bool {
	return name != "NonceInvalid" && name != "NonceMissing" && name != "NonceEmpty"
}

func TestSec_G03_IDTokenSignature(t *testing.T) {
	t.Parallel()
	refuseAll(t, entratest.SignatureForgeries(), exceptNonce)
}

func TestSec_G04_IDTokenClaims(t *testing.T) {
	t.Parallel()
	refuseAll(t, entratest.ClaimForgeries(), exceptNonce)
}

func TestSec_G05_IDTokenClaimAbsent(t *testing.T) {
	t.Parallel()
	refuseAll(t, entratest.AbsenceForgeries(), exceptNonce)
}

func TestIDTokenAccepted(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(*entratest.IDToken){
		"AudIsList":           func(t *entratest.IDToken) { t.Claims["aud"] = []any{t.Claims["aud"]} },
		"SeveralAudWithAzp":   func(t *entratest.IDToken) { t.Claims["aud"] = []any{"x", t.Claims["aud"]} },
		"AzpAbsent":           func(t *entratest.IDToken) { delete(t.Claims, "azp") },
		"AtHashAbsent":        func(t *entratest.IDToken) { delete(t.Claims, "at_hash") },
		"ExpWithinLeeway":     func(t *entratest.IDToken) { t.Claims["exp"] = start.Add(-59 * time.Second).Unix() },
		"IatWithinLeeway":     func(t *entratest.IDToken) { t.Claims["iat"] = start.Add(time.Minute).Unix() },
		"NbfWithinLeeway":     func(t *entratest.IDToken) { t.Claims["nbf"] = start.Add(time.Minute).Unix() },
		"FractionsOfSeconds":  func(t *entratest.IDToken) { t.Claims["iat"] = float64(start.Unix()) + 0.5 },
		"KidAbsentSingleJwks": func(t *entratest.IDToken) { delete(t.Header, "kid") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, entratest.OpenIDOptions{})
			s.op.Forge(forge)
			s.mustSignIn(t)
		})
	}
}

func TestSec_G03_KidAbsentMultipleJwks(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	s.op.RotateKeys(false)
	s.op.Forge(func(t *entratest.IDToken) { delete(t.Header, "kid") })
	_, err := s.signIn(t)
	wantRefused(t, err, "id_token")
}

func TestSec_G04_SignInWithoutNonceNeverCompletes(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	r := s.begin(t)
	r.Nonce = noSecret
	s.op.Forge(func(t *entratest.IDToken) { delete(t.Claims, "nonce") })
	_, err := s.p.Exchange(t.Context(), r)
	wantUnknown(t, err)
}

func TestSec_G04_DiscoveryIssuerMismatch(t *testing.T) {
	t.Parallel()
	for name, issuer := range map[string]func(string) any{
		"another": func(string) any { return "https://evil.example" },
		"slash":   func(s string) any { return s + "/" },
		"absent":  func(string) any { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, entratest.OpenIDOptions{Document: func(d map[string]any) { d["issuer"] = issuer(d["issuer"].(string)) }})
			wantUnknown(t, s.p.Warm(t.Context()))
		})
	}
}

func TestSec_G03_HMACOnlyProviderIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{Document: func(d map[string]any) {
		d["id_token_signing_alg_values_supported"] = []string{"HS256", "none"}
	}})
	wantUnknown(t, s.p.Warm(t.Context()))
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	if got := (&oidc.Metadata{}).Algorithms(); len(got) != 1 || got[0] != "RS256" {
		t.Errorf("default is %v", got)
	}
	md := &oidc.Metadata{IDTokenAlgorithms: []string{"none", "HS256", "ES256", "EdDSA", "XX"}}
	if got := md.Algorithms(); len(got) != 2 || got[0] != "ES256" || got[1] != "EdDSA" {
		t.Errorf("got %v", got)
	}
}
