// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

func one(attribute string, values ...string) Allow {
	return Allow{{{Attribute: attribute, Values: values}}}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	ada := provider.Person{
		Subject: "tid.oid", ObjectID: "0A1B", Email: "Ada@Example.com", EmailVerified: true, Roles: []string{"Reader"},
	}
	unverified := ada
	unverified.EmailVerified = false
	both := Allow{{{Attribute: "role", Values: []string{"Reader"}}, {Attribute: "domain", Values: []string{"example.org"}}}}
	for name, c := range map[string]struct {
		rules Allow
		p     provider.Person
		want  bool
	}{
		"no rules":                   {nil, ada, true},
		"empty block":                {Allow{{}}, ada, false},
		"subject":                    {one("user", "x", "tid.oid"), ada, true},
		"object id in other case":    {one("user", "0a1b"), ada, true},
		"verified address":           {one("user", "ada@example.com"), ada, true},
		"address with a Kelvin sign": {one("user", "kim@example.com"), provider.Person{Subject: "s", Email: "\u212aim@example.com", EmailVerified: true}, false},
		"unverified address":         {one("user", "ada@example.com"), unverified, false},
		"empty value, no oid":        {one("user", ""), provider.Person{Subject: "s"}, false},
		"role":                       {one("role", "Reader"), ada, true},
		"role in other case":         {one("role", "reader"), ada, false},
		"absent role":                {one("role", "Reader"), provider.Person{Subject: "s"}, false},
		"domain":                     {one("domain", "example.com"), ada, true},
		"unverified domain":          {one("domain", "example.com"), unverified, false},
		"unknown attribute":          {one("group", "g"), ada, false},
		"one line of two":            {both, ada, false},
		"one block of two":           {append(both, one("role", "Reader")...), ada, true},
		"nobody signed in":           {one("user", "tid.oid"), provider.Person{}, false},
		"absent address":             {one("domain", "example.com"), provider.Person{EmailVerified: true}, false},
		"user with empty everything": {one("user", "x"), provider.Person{EmailVerified: true}, false},
	} {
		if got := c.rules.Permits(c.p); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSec_G16_DomainIsExact(t *testing.T) {
	t.Parallel()
	rules := one("domain", "good.com")
	for email, want := range map[string]bool{
		"a@good.com": true, "a@GOOD.com": true,
		"a@notgood.com": false, "a@good.com.evil.com": false, "a@sub.good.com": false,
		"a@good.com@evil.com": false, "evil.com#@good.com": true, "@good.com": false,
		"a@good.com ": false, "a@good.com\x00": false, "a@gооd.com": false, "a@good.com.": false,
		"good.com": false, "a@": false, "a@@good.com": false, "": false, "a@good.com/evil": false,
	} {
		p := provider.Person{Subject: "s", Email: email, EmailVerified: true}
		if got := rules.Permits(p); got != want {
			t.Errorf("%q: %v", email, got)
		}
	}
}
