// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"slices"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

// refuseAll demands that no forged token signs anybody in, and that a forged token in a
// refresh neither succeeds nor ends the session.
func refuseAll(t *testing.T, forgeries []entratest.Forgery) {
	for _, f := range forgeries {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			session := s.mustSignIn(t)
			s.e.Forge(f.Forge)
			_, err := s.signIn(t)
			wantRefused(t, err, "id_token")
			if !strings.HasPrefix(f.Name, "Nonce") { // absent at refresh
				_, err = s.p.Refresh(t.Context(), session.RefreshToken)
				wantUnknown(t, err)
			}
		})
	}
}

func claim(name string, value any) func(*entratest.IDToken) {
	return func(t *entratest.IDToken) {
		t.Claims[name] = value
		if value == nil {
			delete(t.Claims, name)
		}
	}
}

func TestSec_G03_IDTokenSignature(t *testing.T) {
	t.Parallel()
	refuseAll(t, append(entratest.SignatureForgeries(),
		// Microsoft always publishes several keys.
		entratest.Forgery{Name: "KidAbsentMultipleJwks", Forge: func(t *entratest.IDToken) { delete(t.Header, "kid") }},
	))
	document := &oidc.Metadata{IDTokenAlgorithms: []string{"RS256", "PS256", "HS256", "none"}}
	if got := (dialect{}).Algorithms(document); !slices.Equal(got, []string{"RS256"}) {
		t.Errorf("algorithms are %v", got)
	}
}

func TestSec_G04_IDTokenClaims(t *testing.T) {
	t.Parallel()
	const other = "bbbbbbbb-0000-4000-8000-000000000001"
	refuseAll(t, append(entratest.ClaimForgeries(),
		entratest.Forgery{Name: "TidOfAnotherTenant", Forge: claim("tid", other)},
		entratest.Forgery{Name: "TidNotAGUID", Forge: claim("tid", "common")},
		entratest.Forgery{Name: "TidUpperCase", Forge: claim("tid", strings.ToUpper(entratest.DefaultTenant))},
		entratest.Forgery{Name: "OidNotAGUID", Forge: claim("oid", "anna")},
		entratest.Forgery{Name: "TokenOfAnApplication", Forge: claim("idtyp", "app")},
		entratest.Forgery{Name: "IssuerAndTidOfAnotherTenant", Forge: func(t *entratest.IDToken) {
			t.Claims["iss"] = strings.Replace(t.Claims["iss"].(string), entratest.DefaultTenant, other, 1)
			t.Claims["tid"] = other
		}},
		entratest.Forgery{Name: "IssuerIsTheTemplate", Forge: func(t *entratest.IDToken) {
			t.Claims["iss"] = strings.Replace(t.Claims["iss"].(string), entratest.DefaultTenant, tenantTemplate, 1)
		}},
		entratest.Forgery{Name: "IssuerOfV1", Forge: claim("iss", "https://sts.windows.net/"+entratest.DefaultTenant+"/")},
		entratest.Forgery{Name: "KeyOfPersonalAccounts", Forge: (*entratest.Emulator)(nil).ForgePersonal},
	))
}

func TestSec_G05_IDTokenClaimAbsent(t *testing.T) {
	t.Parallel()
	refuseAll(t, append(entratest.AbsenceForgeries(),
		entratest.Forgery{Name: "TidMissing", Forge: claim("tid", nil)},
		entratest.Forgery{Name: "OidMissing", Forge: claim("oid", nil)},
	))
}

func TestSec_G05_OidNeedsProfile(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.Scopes = []string{"openid"} })
	_, err := s.signIn(t)
	wantRefused(t, err, "id_token")
}

func TestSec_G04_DiscoveryOfAnotherTenant(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{"common", "organizations"} {
		s := newSite(t, func(c *Config) { c.Tenant = tenant })
		wantUnknown(t, s.p.Warm(t.Context()))
	}
	d := dialect{Config{Tenant: entratest.DefaultTenant}}
	for issuer, good := range map[string]bool{
		"https://login.example/" + entratest.DefaultTenant + "/v2.0":      true,
		"https://login.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0": false,
		"https://login.example/{tenantid}/v2.0":                           false,
		"https://sts.example/" + entratest.DefaultTenant + "/":            false,
		"https://login.example/x/" + entratest.DefaultTenant + "/v2.0":    false,
		"https://login.example/" + entratest.DefaultTenant + "/v2.0/":     false,
		"": false,
		"https://login.example/" + entratest.DefaultTenant + "/v2.0/../../v2.0/": false,
	} {
		if err := d.CheckMetadata(&oidc.Metadata{Issuer: issuer}); (err == nil) != good {
			t.Errorf("%q: %v", issuer, err)
		}
	}
}

// TestSec_G01_SameAddressOtherPerson: people are object ids; an e-mail address that two
// of them claim makes them nobody else.
func TestSec_G01_SameAddressOtherPerson(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.e.Change(ben.Username, func(u *entratest.User) { u.Email = anna.Email })
	first := s.mustSignIn(t).Person
	s.e.SignInAs(ben.Username)
	second := s.mustSignIn(t).Person
	if first.Subject == second.Subject || second.EmailVerified {
		t.Errorf("%+v and %+v", first, second)
	}
}

func TestSec_G01_EmailVerified(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		claims map[string]any
		want   bool
	}{
		{"nothing", nil, false},
		{"edov true", map[string]any{"xms_edov": true}, true},
		{"edov 1", map[string]any{"xms_edov": 1}, true},
		{"edov text 1", map[string]any{"xms_edov": "1"}, true},
		{"edov text", map[string]any{"xms_edov": "true"}, true},
		{"edov false", map[string]any{"xms_edov": false}, false},
		{"edov 0", map[string]any{"xms_edov": 0}, false},
		{"edov text 0", map[string]any{"xms_edov": "0"}, false},
		{"verified", map[string]any{"email_verified": true}, true},
		{"verified member", map[string]any{"email_verified": true, "acct": 0}, true},
		{"verified guest by acct", map[string]any{"email_verified": true, "acct": 1}, false},
		{"verified guest by idp", map[string]any{"email_verified": true, "idp": gita.Guest}, false},
		{"edov guest", map[string]any{"xms_edov": true, "idp": gita.Guest}, true},
		{"no address", map[string]any{"email": "", "xms_edov": true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.e.SignInAs(ben.Username)
			s.e.Forge(func(t *entratest.IDToken) {
				for name, v := range tt.claims {
					t.Claims[name] = v
				}
			})
			if got := s.mustSignIn(t).Person.EmailVerified; got != tt.want {
				t.Errorf("verified is %v, want %v", got, tt.want)
			}
		})
	}
}

func TestGuest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.e.SignInAs(gita.Username)
	p := s.mustSignIn(t).Person
	if p.Subject != entratest.DefaultTenant+"."+gita.ObjectID || p.EmailVerified || p.Email != gita.Email {
		t.Errorf("person is %+v", p)
	}
}

func TestSec_G08_GroupOverageIsNoGroups(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.e.Change(anna.Username, func(u *entratest.User) { u.Groups = []string{"g1"} })
	if got := s.mustSignIn(t).Person.Groups; !slices.Equal(got, []string{"g1"}) {
		t.Errorf("groups are %v", got)
	}
	s.e.Forge(func(t *entratest.IDToken) {
		delete(t.Claims, "groups")
		t.Claims["_claim_names"] = map[string]string{"groups": "src1"}
		t.Claims["_claim_sources"] = map[string]any{"src1": map[string]string{"endpoint": "https://graph.windows.net/x/getMemberObjects"}}
	})
	if got := s.mustSignIn(t).Person.Groups; got != nil {
		t.Errorf("groups are %v, want none", got)
	}
}

// TestIssuerRule is the rule alone, also for documents of several tenants.
func TestIssuerRule(t *testing.T) {
	t.Parallel()
	const (
		a        = "aaaaaaaa-0000-4000-8000-00000000000a"
		b        = "bbbbbbbb-0000-4000-8000-00000000000b"
		of       = "https://login.example/"
		v2       = "/v2.0"
		template = of + tenantTemplate + v2
	)
	for _, tt := range []struct {
		name, document, key, iss, tid string
		want                          bool
	}{
		{"single", of + a + v2, template, of + a + v2, a, true},
		{"single, key of the tenant", of + a + v2, of + a + v2, of + a + v2, a, true},
		{"single, key says nothing", of + a + v2, "", of + a + v2, a, true},
		{"single, other tenant", of + a + v2, template, of + b + v2, b, false},
		{"single, other tid", of + a + v2, template, of + a + v2, b, false},
		{"single, key of another tenant", of + a + v2, of + b + v2, of + a + v2, a, false},
		{"several", template, template, of + b + v2, b, true},
		{"several, key of one", template, of + b + v2, of + b + v2, b, true},
		{"several, key of one signs for another", template, of + b + v2, of + a + v2, a, false},
		{"several, key says nothing", template, "", of + a + v2, a, false},
		{"several, other tid", template, template, of + a + v2, b, false},
		{"several, tid is the template", template, template, template, tenantTemplate, false},
		{"several, other host", template, template, "https://evil.example/" + a + v2, a, false},
		{"no tid", of + a + v2, template, of + a + v2, "", false},
		{"template without tenant", of + "x" + v2, of + "x" + v2, of + "x" + v2, a, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := checkIssuer(&oidc.IDToken{
				Issuer: tt.iss, KeyIssuer: tt.key, Claims: oidc.Claims{"tid": []byte(`"` + tt.tid + `"`)}, Metadata: &oidc.Metadata{Issuer: tt.document},
			})
			if (err == nil) != tt.want || tt.want && got != tt.tid {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
