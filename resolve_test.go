// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// handlerOf adapts a body of the directive and loads its JSON.
func handlerOf(t *testing.T, body string) *Handler {
	t.Helper()
	out, err := adapt(t, inSite(body))
	if err != nil {
		t.Fatal(err)
	}
	h := new(Handler)
	if err := caddy.StrictUnmarshalJSON(handlersIn(t, out)[0], h); err != nil {
		t.Fatal(err)
	}
	return h
}

func settingsOf(t *testing.T, body string) *settings {
	t.Helper()
	s, err := tryResolve(t, handlerOf(t, body))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryResolve(t *testing.T, h *Handler) (*settings, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	return h.resolve(ctx)
}

func TestDefaults(t *testing.T) {
	setGoldenEnv(t)
	s := settingsOf(t, "resource https://mcp.example.com:8443/mcp\n"+strings.Replace(testProvider, "store memory\n", "", 1))
	p := s.policy
	want := &policy.Resource{
		URL: "https://mcp.example.com:8443/mcp", Origin: "https://mcp.example.com:8443", Host: "mcp.example.com:8443", Path: "/mcp",
		Name: "mcp.example.com", Scopes: oauth.Scopes{"mcp"}, Audience: "https://mcp.example.com:8443/mcp",
	}
	if !reflect.DeepEqual(p.Resources, []*policy.Resource{want}) {
		t.Errorf("resource: %+v", p.Resources[0])
	}
	if p.Issuer != "https://mcp.example.com:8443/oauth" {
		t.Errorf("issuer: %s", p.Issuer)
	}
	if p.Lifetimes != policy.DefaultLifetimes() || p.Streams != policy.DefaultStreams() || !p.RegistrationEnabled || len(p.Allow) > 0 || p.Fingerprint == "" {
		t.Errorf("policy: %+v", p)
	}
	if s.rules.Rate != 20 || s.rules.Window != time.Minute || s.rules.RegistrationOff || !slices.Equal(s.rules.Scopes, p.AllScopes()) {
		t.Errorf("rules: %+v", s.rules)
	}
	if !strings.HasSuffix(s.store.Identity(), "store.db") || len(s.masters) > 0 {
		t.Errorf("store %s with %d keys", s.store.Identity(), len(s.masters))
	}
}

func TestEverythingResolved(t *testing.T) {
	setGoldenEnv(t)
	t.Setenv("MCPOAUTH_TEST_HOST", "mcp.example.com")
	t.Setenv("MCPOAUTH_TEST_LIFE", "2h")
	t.Setenv("MCPOAUTH_TEST_EVENTS", "7")
	s := settingsOf(t, `issuer https://{env.MCPOAUTH_TEST_HOST}/oauth
resource https://{env.MCPOAUTH_TEST_HOST}/mcp {
	name Payroll
	scopes read write
	allowed_origins https://app.example.com
	audience api://payroll
	forward {
		header x-user-email email
	}
}
`+testProvider+`
encryption_key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
scope write {
	description Change
	implies read
}
allow {
	role A B
	role C
	domain example.com
}
allow {
	user jane@example.com
}
client build {
	secret {env.MCPOAUTH_TEST_SECRET}
	redirect_uri https://build.example.com/cb
}
registration {
	rate {env.MCPOAUTH_TEST_EVENTS} 1h
	redirect_hosts claude.ai
}
login {
	title Example
	support a@example.com
}
tokens {
	access {env.MCPOAUTH_TEST_LIFE}
	guard_cache 0
}
streams {
	until token
	max_age 2h
	per_session 3
}`)
	p := s.policy
	if p.Issuer != "https://mcp.example.com/oauth" || p.Resources[0].URL != "https://mcp.example.com/mcp" || p.Resources[0].Name != "Payroll" {
		t.Errorf("issuer %s, resource %+v", p.Issuer, p.Resources[0])
	}
	if r := p.Resources[0]; r.Audience != "api://payroll" || !slices.Equal(r.Forward, []policy.ForwardHeader{{Name: "X-User-Email", Claim: policy.ClaimEmail}}) {
		t.Errorf("audience %s, forward %+v", r.Audience, r.Forward)
	}
	if p.Streams != (policy.Streams{Until: policy.UntilToken, MaxAge: 2 * time.Hour, PerSession: 3}) {
		t.Errorf("streams: %+v", p.Streams)
	}
	wantAllow := policy.Allow{
		{{Attribute: "role", Values: []string{"A", "B"}}, {Attribute: "role", Values: []string{"C"}}, {Attribute: "domain", Values: []string{"example.com"}}},
		{{Attribute: "user", Values: []string{"jane@example.com"}}},
	}
	if !reflect.DeepEqual(p.Allow, wantAllow) {
		t.Errorf("allow: %+v", p.Allow)
	}
	if p.Lifetimes.Access != 2*time.Hour || p.Lifetimes.GuardCache != 0 || p.Lifetimes.Code != time.Minute {
		t.Errorf("lifetimes: %+v", p.Lifetimes)
	}
	if w := p.Scopes["write"]; w.Description != "Change" || !w.Implies.Has("read") {
		t.Errorf("scope: %+v", w)
	}
	r := s.rules
	if r.Rate != 7 || r.Window != time.Hour || !slices.Equal(r.RedirectHosts, []string{"claude.ai"}) {
		t.Errorf("rules: %+v", r)
	}
	if c := r.Static[0]; c.ID != "build" || c.Name != "build" || c.Secrets[0].Reveal() != "correct-horse-battery-staple" {
		t.Errorf("client: %+v", c)
	}
	if s.title != "Example" || s.support != "a@example.com" || len(s.masters) != 1 || s.store.Identity() != "memory" {
		t.Errorf("title %q, support %q, %d keys, store %s", s.title, s.support, len(s.masters), s.store.Identity())
	}
}

// TestSecretsStayInside wants nothing that can be printed to hold a secret: neither the
// handler, which Caddy logs and serves, nor the rendering of its words.
func TestSecretsStayInside(t *testing.T) {
	setGoldenEnv(t)
	const key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	t.Setenv("MCPOAUTH_TEST_KEY", key)
	h := handlerOf(t, testBase+"encryption_key {env.MCPOAUTH_TEST_KEY}\nclient a {\nsecret {env.MCPOAUTH_TEST_SECRET}\nredirect_uri https://a.example.com/cb\n}")
	s, err := tryResolve(t, h)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"handler": fmt.Sprintf("%+v %s", *h, canonical(h)), "words": canonical(s.words), "settings": fmt.Sprintf("%+v %+v %v", s.policy, s.rules, s.masters),
	} {
		if strings.Contains(text, "correct-horse") || strings.Contains(text, key[:16]) {
			t.Errorf("%s holds a secret: %s", name, text)
		}
	}
}

// TestWordsTellSettingsApart changes one word after the other.
func TestWordsTellSettingsApart(t *testing.T) {
	setGoldenEnv(t)
	changes := map[string]string{
		"issuer":         "issuer https://login.example.com",
		"resource":       "resource https://mcp.example.com/other",
		"encryption_key": "encryption_key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"scope":          "scope mcp {\ndescription x\n}",
		"allow":          "allow {\ndomain example.com\n}",
		"client":         "client a {\nredirect_uri https://a.example.com/cb\n}",
		"registration":   "registration off",
		"login":          "login {\ntitle x\n}",
		"tokens":         "tokens {\naccess 2h\n}",
		"streams":        "streams {\nuntil token\n}",
	}
	base := settingsOf(t, testBase)
	if d := base.firstDifference(settingsOf(t, testBase+"tokens {\naccess 60m\n}\nstreams {\nuntil session\n}\nissuer https://mcp.example.com/oauth")); d != "" {
		t.Errorf("writing a default made a difference in %s", d)
	}
	for word, line := range changes {
		other := settingsOf(t, testBase+line)
		if d := base.firstDifference(other); d != word || other.policy.Fingerprint == base.policy.Fingerprint {
			t.Errorf("changing %s differs in %q", word, d)
		}
	}
	for word, body := range map[string]string{
		"store":    strings.Replace(testBase, "store memory", "store memory {\nmax_records 7\n}", 1),
		"provider": strings.Replace(testBase, "client_id mcp", "client_id other", 1),
	} {
		changes[word] = body
		if d := base.firstDifference(settingsOf(t, body)); d != word {
			t.Errorf("changing %s differs in %q", word, d)
		}
	}
	words := slices.Sorted(maps.Keys(grammar()[""].repeats))
	if rendered := slices.Sorted(maps.Keys(base.words)); !slices.Equal(words, rendered) || !slices.Equal(words, slices.Sorted(maps.Keys(changes))) {
		t.Errorf("words %v\nrendered %v", words, rendered)
	}
}

// Two blocks of one issuer agree on when the provider is asked; the sign-in itself is the
// same, so it is shared.
func TestVerificationTellsSettingsApart(t *testing.T) {
	setGoldenEnv(t)
	with := func(line string) *settings {
		return settingsOf(t, strings.Replace(testBase, "client_id mcp", "client_id mcp\n"+line, 1))
	}
	base := with("")
	for line, want := range map[string]provider.Verification{
		"verify_account every 15m": {Every: 15 * time.Minute},
		"verify_account every 1d":  {Every: 24 * time.Hour},
		"verify_account never":     {Never: true},
	} {
		other := with(line)
		if d := base.firstDifference(other); d != "provider" || other.policy.Fingerprint == base.policy.Fingerprint {
			t.Errorf("%s differs in %q", line, d)
		}
		if other.policy.Verify != want || other.provider.Identity() != base.provider.Identity() {
			t.Errorf("%s means %+v", line, other.policy.Verify)
		}
	}
	if d := base.firstDifference(with("verify_account on_refresh")); d != "" || base.policy.Verify != (provider.Verification{}) {
		t.Errorf("writing the default made a difference in %q", d)
	}
}

// TestSecretsTellSettingsApart: a new secret is another configuration.
func TestSecretsTellSettingsApart(t *testing.T) {
	setGoldenEnv(t)
	body := testBase + "client a {\nsecret {env.MCPOAUTH_TEST_S}\nredirect_uri https://a.example.com/cb\n}"
	t.Setenv("MCPOAUTH_TEST_S", "one")
	one := settingsOf(t, body)
	t.Setenv("MCPOAUTH_TEST_S", "two")
	if d := one.firstDifference(settingsOf(t, body)); d != "client" {
		t.Errorf("difference in %q", d)
	}
	const a, b = "encryption_key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", "encryption_key Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=\n"
	if d := settingsOf(t, testBase+a+b).firstDifference(settingsOf(t, testBase+b+a)); d != "encryption_key" {
		t.Errorf("the order of keys makes a difference in %q", d)
	}
}

// TestWhatOnlyJSONCanGetWrong has faults that no Caddyfile can express.
func TestWhatOnlyJSONCanGetWrong(t *testing.T) {
	setGoldenEnv(t)
	const resource, provider = `"resource":[{"url":"https://mcp.example.com/mcp"}]`, `"provider":{"module":"oidc","issuer":"https://id.example.com","client_id":"mcp","client_secret":"s"}`
	for in, want := range map[string]string{
		`{}`:                 "resource is missing",
		`{` + resource + `}`: "provider is missing",
		`{` + resource + `,"provider":{"client_id":"a"}}`:                                                   "unrecognized provider",
		`{` + resource + `,"provider":"entra"}`:                                                             "provider: ",
		`{` + resource + `,` + provider + `,"store":{"module":"mongo"}}`:                                    `unrecognized store "mongo"`,
		`{` + resource + `,` + provider + `,"allow":[{}]}`:                                                  "allow has no rule",
		`{` + resource + `,` + provider + `,"allow":[{"role":[]}]}`:                                         "allow has no rule",
		`{` + resource + `,` + provider + `,"allow":[{"role":[[]]}]}`:                                       "a line without values",
		`{` + resource + `,` + provider + `,"allow":[{"role":[[""]]}]}`:                                     "is not a role",
		`{` + resource + `,` + provider + `,"client":[{"id":"a"}]}`:                                         "has no redirect_uri",
		`{` + resource + `,` + provider + `,"client":[{"redirect_uri":["https://a.example.com/cb"]}]}`:      "is not a client id",
		`{` + resource + `,` + provider + `,"scope":[{}]}`:                                                  "is not one scope",
		`{` + resource + `,` + provider + `,"registration":{"off":true,"redirect_hosts":["claude.ai"]}}`:    "registration is off",
		`{` + resource + `,` + provider + `,"registration":{"off":true,"rate":{"events":1,"window":"1m"}}}`: "registration is off",
		`{` + resource + `,` + provider + `,"registration":{"rate":{}}}`:                                    "not a number of events",
		`{` + resource + `,` + provider + `,"tokens":{"access":1}}`:                                         "not a duration in whole seconds",
		`{"resource":[{}],` + provider + `}`:                                                                "cannot be a resource",
	} {
		h := new(Handler)
		if err := caddy.StrictUnmarshalJSON([]byte(in), h); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if _, err := tryResolve(t, h); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

func TestBrief(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		90 * day: "90d", time.Hour: "1h", 36 * time.Hour: "36h", 90 * time.Second: "1m30s", time.Minute: "1m", 0: "0s", 20 * time.Minute: "20m",
	} {
		if got := brief(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
