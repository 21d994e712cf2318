// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"fmt"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// table is what Microsoft answers at the token endpoint, by number, with the error that
// each comes with, and whether it is the end of a grant.
var table = []struct {
	status  int
	code    string
	ends    bool
	numbers []int
}{
	// The person has to sign in again, or may not any more.
	{400, "invalid_grant", true, []int{65001}},                // no consent
	{400, "invalid_grant", true, []int{70000}},                // invalid grant
	{400, "invalid_grant", true, []int{70008}},                // expired
	{400, "invalid_grant", true, []int{700082}},               // inactive
	{400, "invalid_grant", true, []int{700084}},               // 24 hours of a single-page application
	{400, "invalid_grant", true, []int{50173}},                // revoked
	{400, "invalid_grant", true, []int{50132}},                // revoked
	{400, "invalid_grant", true, []int{50133}},                // revoked
	{400, "invalid_grant", true, []int{50089}},                // flow expired
	{400, "invalid_grant", true, []int{70043}},                // sign-in frequency
	{400, "invalid_grant", true, []int{50057}},                // disabled
	{400, "invalid_grant", true, []int{50053}},                // locked
	{400, "invalid_grant", true, []int{50055}},                // password expired
	{400, "invalid_grant", true, []int{50105}},                // not assigned
	{400, "invalid_grant", true, []int{53000}},                // conditional access
	{400, "invalid_grant", true, []int{53003}},                // conditional access
	{400, "invalid_grant", true, []int{530032}},               // blocked by policy
	{400, "invalid_grant", true, []int{70002, 70008}},         // credentials, as they expired
	{400, "invalid_grant", true, []int{999999}},               // a number that nobody knows
	{400, "invalid_grant", true, nil},                         // none
	{400, "interaction_required", true, []int{50076}},         // another factor
	{400, "interaction_required", true, []int{50079}},         // another factor
	{400, "interaction_required", true, []int{50072}},         // another factor
	{400, "interaction_required", true, []int{50074}},         // another factor
	{400, "interaction_required", true, []int{50078}},         // another factor
	{400, "interaction_required", true, []int{50158}},         // external challenge
	{400, "interaction_required", true, []int{53004}},         // conditional access
	{400, "consent_required", true, []int{65001}},             // no consent
	{400, "login_required", true, []int{50058}},               // nobody is signed in
	{400, "invalid_grant", false, []int{50196}},               // asked in a loop
	{400, "invalid_grant", false, []int{90055}},               // tenant throttled
	{400, "invalid_grant", false, []int{90024}},               // transient
	{400, "invalid_grant", false, []int{90006}},               // transient
	{400, "invalid_grant", false, []int{90012}},               // timed out
	{400, "invalid_grant", false, []int{90033}},               // transient
	{400, "interaction_required", false, []int{50076, 90033}}, // transient among others
	{429, "invalid_grant", false, []int{50173}},               // throttled, whatever is in it
	{503, "invalid_grant", false, []int{50057}},               // down, whatever is in it
	{400, "temporarily_unavailable", false, []int{90033}},     // transient
	{400, "server_error", false, nil},                         // down
	{401, "invalid_client", false, []int{7000215}},            // our secret is wrong
	{401, "invalid_client", false, []int{7000222}},            // our secret has expired
	{401, "invalid_client", false, []int{70002}},              // our credential
	{401, "invalid_client", false, []int{700027}},             // our assertion
	{401, "invalid_client", false, []int{7000218}},            // our credential is missing
	{401, "invalid_client", false, []int{700025}},             // our application is a public one
	{401, "invalid_client", false, []int{700213}},             // our federated credential
	{400, "invalid_grant", false, []int{7000215}},             // our secret, in the wrong error
	{400, "invalid_grant", false, []int{7000222}},             // our secret, in the wrong error
	{400, "invalid_grant", false, []int{700027}},              // our assertion, in the wrong error
	{400, "unauthorized_client", false, []int{700016}},        // our application is gone
	{400, "invalid_request", false, []int{90002}},             // our tenant is gone
	{400, "invalid_request", false, []int{9002313}},           // malformed
	{400, "invalid_request", false, []int{90014}},             // malformed
	{400, "invalid_request", false, []int{900144}},            // a parameter is missing
	{400, "invalid_resource", false, []int{500011}},           // our scopes
	{400, "invalid_scope", false, []int{650053}},              // our scopes
	{400, "invalid_scope", false, []int{70011}},               // our scopes
	{400, "invalid_scope", false, []int{28003}},               // our scopes
	{400, "invalid_target", false, []int{9010010}},            // our scopes
	{400, "unsupported_grant_type", false, []int{70003}},      // ours
	{400, "access_denied", false, []int{65004}},               // belongs to the browser
	{200, "invalid_grant", false, []int{50057}},               // no error at all
	{404, "invalid_grant", false, []int{50057}},               // something else answers
}

// TestSec_G10_TableOfMicrosoft: nothing but the word of Microsoft about the person ends a
// grant, and the same refresh token works once the fault is over.
func TestSec_G10_TableOfMicrosoft(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	session := s.mustSignIn(t)
	for _, tt := range table {
		t.Run(fmt.Sprintf("%d %s %v", tt.status, tt.code, tt.numbers), func(t *testing.T) {
			s.e.Break(entratest.Token, entratest.Answer(tt.status, tt.code, tt.numbers...))
			defer s.e.Mend(entratest.Token)
			_, err := s.p.Refresh(t.Context(), session.RefreshToken)
			if !tt.ends {
				wantUnknown(t, err)
			} else if no := wantEnded(t, err); no.Reason != tt.code || no.Reference == "" {
				t.Errorf("got %+v", no)
			}
			s.e.Mend(entratest.Token)
			if _, err := s.p.Refresh(t.Context(), session.RefreshToken); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

// A suberror and a claims challenge change nothing about whose fault it is.
func TestSec_G10_SuberrorsOfMicrosoft(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	session := s.mustSignIn(t)
	for body, ends := range map[string]bool{
		`{"error":"invalid_grant","suberror":"token_expired","error_codes":[700082]}`:                                                      true,
		`{"error":"invalid_grant","suberror":"bad_token","error_codes":[70000]}`:                                                           true,
		`{"error":"invalid_grant","suberror":"protection_policy_required","error_codes":[53005]}`:                                          true,
		`{"error":"interaction_required","suberror":"basic_action","claims":"{\"access_token\":{\"capolids\":{}}}","error_codes":[50076]}`: true,
		`{"error":"invalid_grant","suberror":"message_only","error_codes":[50196]}`:                                                        false,
		`{"suberror":"bad_token","error_codes":[70000]}`:                                                                                   false,
		`{"error":"Invalid_Grant","error_codes":[70000]}`:                                                                                  false,
	} {
		s.e.Break(entratest.Token, entratest.Fault{Status: 400, Header: map[string]string{"Content-Type": "application/json"}, Body: body})
		_, err := s.p.Refresh(t.Context(), session.RefreshToken)
		if !ends {
			wantUnknown(t, err)
		} else {
			wantEnded(t, err)
		}
		s.e.Mend(entratest.Token)
	}
}
