// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
)

const whole = `oidc {
	issuer        https://login.example.com/
	discovery_url https://login.example.com/d
	client_id     app
	client_secret {env.MCPO_TEST_OIDC_SECRET}
	scopes        openid profile
	scopes        groups
	prompt        login
	claims {
		subject oid
		roles   realm_access.roles
		groups  g
		name    n
		email   mail
	}
}`

func unmarshal(text string) (*Module, error) {
	m := new(Module)
	return m, m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
}

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	m, err := unmarshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"issuer":"https://login.example.com/","discovery_url":"https://login.example.com/d","client_id":"app",` +
		`"client_secret":"{env.MCPO_TEST_OIDC_SECRET}","scopes":["openid","profile","groups"],` +
		`"claims":{"subject":"oid","roles":"realm_access.roles","groups":"g","name":"n","email":"mail"},"prompt":"login"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCaddyfileErrors(t *testing.T) {
	t.Parallel()
	const base = "issuer https://a.example\nclient_id app\nclient_secret s\n"
	for name, tt := range map[string]struct{ block, want string }{
		"unknown":             {base + "isuer x", `unrecognized subdirective "isuer" in provider oidc: the words here are claims, client_id, client_secret, discovery_url, issuer, prompt, scopes, verify_account`},
		"missing value":       {base + "prompt", "prompt has no value: write prompt <value>"},
		"extra value":         {base + "prompt login consent", "prompt has 2 values and takes one"},
		"twice":               {base + "issuer https://b.example", "issuer is written twice in provider oidc: keep one line"},
		"block":               {base + "prompt login {\n}", "prompt is not written like this"},
		"empty":               {base + `prompt ""`, "prompt: write login"},
		"bad issuer":          {"issuer http://a.example", "issuer: write an https URL"},
		"bad discovery_url":   {base + "discovery_url x", "discovery_url: write an absolute URL"},
		"bad secret":          {"client_secret \" s\"", "client_secret: write the client secret"},
		"bad scope":           {base + `scopes "openid profile"`, "is not one scope"},
		"bad prompt":          {base + "prompt none", "prompt none would refuse everyone"},
		"foreign placeholder": {base + "prompt {http.request.host}", "the only placeholders here are"},
		"no issuer":           {"client_id app\nclient_secret s", "provider oidc has no issuer: write issuer <url>"},
		"no client_id":        {"issuer https://a.example\nclient_secret s", "provider oidc has no client_id"},
		"no client_secret":    {"issuer https://a.example\nclient_id app", "provider oidc has no client_secret"},
		"claims without":      {base + "claims", "claims is not written like this: write claims { ... }"},
		"claims with value":   {base + "claims x {\n}", "claims is not written like this"},
		"claims twice":        {base + "claims {\n}\nclaims {\n}", "claims is written twice"},
		"claim unknown":       {base + "claims {\nsub x\n}", `unrecognized subdirective "sub" in provider oidc: claims: the words here are email, groups, name, roles, subject`},
		"claim twice":         {base + "claims {\nname x\nname y\n}", "name is written twice in provider oidc: claims"},
		"claim missing":       {base + "claims {\nname\n}", "name has no value: write name <claim>"},
		"claim extra":         {base + "claims {\nname x y\n}", "name has 2 values"},
		"mutable subject":     {base + "claims {\nsubject email\n}", "subject: email can change"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := unmarshal("oidc {\n" + tt.block + "\n}")
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "Testfile:") {
				t.Errorf("got %v, want a position and %q", err, tt.want)
			}
		})
	}
	if _, err := unmarshal("oidc x {\n}"); err == nil || !strings.Contains(err.Error(), `unexpected "x"`) {
		t.Errorf("an argument: %v", err)
	}
}

// TestEveryWordHasAnErrorForEachMistake enumerates the words of the parser itself.
func TestEveryWordHasAnErrorForEachMistake(t *testing.T) {
	t.Parallel()
	var words func(prefix, suffix string, ws []surface.Word)
	words = func(prefix, suffix string, ws []surface.Word) {
		for _, w := range ws {
			if w.Words != nil {
				words(prefix+w.Name()+" {\n", "\n}"+suffix, w.Words)
				continue
			}
			mistakes := map[string]string{"missing": w.Name(), "block": w.Name() + " {env.X} {\n}", "brace": w.Name() + " a}b"}
			if w.Values == nil {
				mistakes["extra"] = w.Name() + strings.Repeat(" {env.X}", max(w.Joined, 1)+1)
				mistakes["twice"] = w.Name() + " {env.X}\n" + w.Name() + " {env.X}"
			}
			for mistake, line := range mistakes {
				_, err := unmarshal("oidc {\n" + prefix + line + suffix + "\n}")
				if err == nil || !strings.Contains(err.Error(), w.Name()) || strings.Contains(err.Error(), "provider oidc has no") {
					t.Errorf("%s %s: %v", w.Name(), mistake, err)
				}
			}
		}
	}
	words("", "", new(Module).words())
}

func TestProvision(t *testing.T) {
	t.Setenv("MCPO_TEST_OIDC_SECRET", "s3cret")
	m, err := unmarshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	c := m.config
	if c.ClientSecret.Reveal() != "s3cret" || m.ClientSecret != "{env.MCPO_TEST_OIDC_SECRET}" {
		t.Error("the placeholder was not resolved beside the field")
	}
	if c.Issuer != "https://login.example.com/" || c.DiscoveryURL != "https://login.example.com/d" || c.ClientID != "app" || c.Prompt != "login" ||
		!slices.Equal(c.Scopes, []string{"openid", "profile", "groups"}) ||
		c.Claims != (ClaimNames{Subject: "oid", Roles: "realm_access.roles", Groups: "g", Name: "n", Email: "mail"}) {
		t.Errorf("resolved %+v", c)
	}
	out, err := json.Marshal(m)
	if err != nil || strings.Contains(string(out), "s3cret") {
		t.Errorf("the configuration shows the secret: %s %v", out, err)
	}
}

func TestProvisionDefaults(t *testing.T) {
	t.Parallel()
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &Module{Issuer: "https://a.example", ClientID: "app", ClientSecret: "{file." + secretFile + "}"}
	if err := m.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	want := ClaimNames{Subject: "sub", Roles: "roles", Groups: "groups", Name: "name", Email: "email"}
	if !slices.Equal(m.config.Scopes, DefaultScopes()) || m.config.Claims != want || m.config.ClientSecret.Reveal() != "from file" {
		t.Errorf("resolved %+v", m.config)
	}
	if got := (generic{m.config}).DiscoveryURL(); got != "https://a.example/.well-known/openid-configuration" {
		t.Errorf("discovery at %s", got)
	}
}

func TestProvisionErrors(t *testing.T) {
	t.Setenv("MCPO_TEST_BAD", "http://a.example")
	good := Module{Issuer: "https://a.example", ClientID: "app", ClientSecret: "s"}
	for name, tt := range map[string]struct {
		change func(*Module)
		want   string
	}{
		"no issuer":        {func(m *Module) { m.Issuer = "" }, "provider oidc has no issuer: write issuer <url>"},
		"no client_id":     {func(m *Module) { m.ClientID = "" }, "provider oidc has no client_id"},
		"no client_secret": {func(m *Module) { m.ClientSecret = "" }, "provider oidc has no client_secret"},
		"bad by JSON":      {func(m *Module) { m.Issuer = "nowhere" }, "issuer: write an absolute URL"},
		"bad in variable":  {func(m *Module) { m.Issuer = "{env.MCPO_TEST_BAD}" }, "issuer: write an https URL"},
		"variable not set": {func(m *Module) { m.ClientSecret = "{env.MCPO_TEST_ABSENT}" }, "set the environment variable"},
		"no file":          {func(m *Module) { m.ClientSecret = "{file./nonexistent}" }, "client_secret: "},
		"no openid":        {func(m *Module) { m.Scopes = []string{"profile"} }, "scopes: add openid"},
		"bad claim":        {func(m *Module) { m.Claims.Roles = " " }, "provider oidc: claims: roles: write the name of a claim"},
	} {
		t.Run(name, func(t *testing.T) {
			m := good
			tt.change(&m)
			err := m.Provision(caddy.Context{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	good := Module{Issuer: "https://a.example", DiscoveryURL: "https://a.example/d", ClientID: "app", ClientSecret: "s3cret", Prompt: "login", Scopes: []string{"openid"}}
	identity := func(change func(*Module)) string {
		m := good
		change(&m)
		if err := m.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		return m.Identity()
	}
	first := identity(func(*Module) {})
	if first != identity(func(*Module) {}) || strings.Contains(first, "s3cret") {
		t.Error("identity is not stable, or shows the secret")
	}
	seen := map[string]bool{first: true}
	for i, change := range []func(*Module){
		func(m *Module) { m.Issuer += "/" }, func(m *Module) { m.DiscoveryURL += "/" }, func(m *Module) { m.ClientID += "x" },
		func(m *Module) { m.ClientSecret += "x" }, func(m *Module) { m.Prompt = "" }, func(m *Module) { m.Scopes = nil },
		func(m *Module) { m.Claims.Subject = "oid" }, func(m *Module) { m.Claims.Roles = "x" }, func(m *Module) { m.Claims.Groups = "x" },
		func(m *Module) { m.Claims.Name = "x" }, func(m *Module) { m.Claims.Email = "x" },
	} {
		id := identity(change)
		if seen[id] {
			t.Errorf("change %d does not change the identity", i)
		}
		seen[id] = true
	}
}

// TestEveryFieldIsAWord: the Caddyfile and JSON say the same.
func TestEveryFieldIsAWord(t *testing.T) {
	t.Parallel()
	var names func(ws []surface.Word) []string
	names = func(ws []surface.Word) (out []string) {
		for _, w := range ws {
			out = append(out, w.Name())
			out = append(out, names(w.Words)...)
		}
		return out
	}
	got := names(new(Module).words())
	var want []string
	for _, typ := range []reflect.Type{reflect.TypeFor[Module](), reflect.TypeFor[ClaimNames]()} {
		for i := range typ.NumField() {
			if tag, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ","); tag != "" {
				want = append(want, tag)
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("words %v, fields %v", got, want)
	}
}
