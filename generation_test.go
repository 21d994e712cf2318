// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

func block(issuer, origin, login string) *settings {
	return &settings{
		policy: &policy.Policy{Issuer: issuer, Resources: []*policy.Resource{{URL: origin + "/mcp", Origin: origin}}},
		words:  map[string]string{"issuer": issuer, "login": login},
	}
}

func TestBlocksOfOneConfiguration(t *testing.T) {
	t.Parallel()
	const a, b = "https://a.example/oauth", "https://b.example/oauth"
	for name, c := range map[string]struct {
		second *settings
		want   string
	}{
		"the same block twice":    {block(a, "https://a.example", "x"), ""},
		"another word":            {block(a, "https://a.example", "y"), `"login"`},
		"another issuer":          {block(b, "https://b.example", "x"), ""},
		"another issuer's origin": {block(b, "https://A.example", "x"), "https://a.example belongs to the issuer"},
	} {
		config := new(int)
		if err := join(config, block(a, "https://a.example", "x")); err != nil {
			t.Fatal(err)
		}
		err := join(config, c.second)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			leave(config)
		}
		leave(config)
		generations.Lock()
		left := generations.m[config]
		generations.Unlock()
		if left != nil {
			t.Errorf("%s: the configuration was not forgotten", name)
		}
	}
	if err := join(new(int), block(a, "https://a.example", "y")); err != nil {
		t.Errorf("two configurations, as during a reload, may differ: %v", err)
	}
}
