// SPDX-License-Identifier: Apache-2.0

package oidc

import "testing"

func TestSec_G07_ResponseOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	ours, other, slash := "https://login.example", "https://evil.example", "https://login.example/"
	for name, c := range map[string]struct {
		announced bool
		iss       *string
		ok        bool
	}{
		"announced and ours":   {true, &ours, true},
		"announced, absent":    {true, nil, false},
		"announced, other":     {true, &other, false},
		"not announced, ours":  {false, &ours, true},
		"not announced":        {false, nil, true},
		"not announced, other": {false, &other, false},
		"only nearly ours":     {true, &slash, false},
	} {
		m := &Metadata{Issuer: ours, ResponseIssuer: c.announced}
		if err := m.checkResponseIssuer(c.iss); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
