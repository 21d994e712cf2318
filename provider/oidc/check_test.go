// SPDX-License-Identifier: Apache-2.0

package oidc

import "testing"

func TestChecks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		check     func(string) error
		good, bad []string
	}{
		{
			"url", CheckURL,
			[]string{"https://a.example", "https://a.example/x?y=z", "http://localhost:8080/x", "http://127.0.0.1", "http://[::1]:1"},
			[]string{"", "a.example", "http://a.example", "ftp://a.example", "https://", "https:a", "https://u:p@a.example", "https://a.example#f", "https://a.example/#", "http://localhost.evil.example", "://"},
		},
		{
			"issuer", CheckIssuer,
			[]string{"https://a.example", "https://a.example/", "https://a.example/realms/x"},
			[]string{"https://a.example?x", "https://a.example/?", "http://a.example", "a.example"},
		},
		{"client id", CheckClientID, []string{"a", "a b", "{}"}, []string{"", " a", "a ", "a\n", "ä"}},
		{"secret", CheckSecret, []string{"a", "~._"}, []string{"", "a\n", " a"}},
		{"scope", CheckScope, []string{"openid", "https://a/.default"}, []string{"", "a b", `a"b`, "ä"}},
		{"prompt", CheckPrompt, []string{"login", "login consent", "create"}, []string{"", " ", "none", "login none", "a=b"}},
		{"claim", CheckClaim, []string{"roles", "realm_access.roles", "https://a.example/roles"}, []string{"", " roles"}},
		{"subject", CheckSubjectClaim, []string{"sub", "oid"}, []string{"", "email", "upn", "preferred_username", "name"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, v := range tt.good {
				if err := tt.check(v); err != nil {
					t.Errorf("%q: %v", v, err)
				}
			}
			for _, v := range tt.bad {
				if tt.check(v) == nil {
					t.Errorf("%q was accepted", v)
				}
			}
		})
	}
}
