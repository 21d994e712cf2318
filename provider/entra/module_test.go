// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

const (
	tenant = entratest.DefaultTenant
	client = entratest.DefaultClientID
)

func unmarshal(text string) (*Module, error) {
	m := new(Module)
	return m, m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
}

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	m, err := unmarshal(`entra {
	tenant        contoso.onmicrosoft.com
	client_id     ` + client + `
	client_secret {env.MCPO_TEST_ENTRA_SECRET}
	authority     login.microsoftonline.us
	scopes        openid profile
	scopes        User.Read
	prompt        consent
}`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"tenant":"contoso.onmicrosoft.com","client_id":"` + client + `","client_secret":"{env.MCPO_TEST_ENTRA_SECRET}",` +
		`"authority":"login.microsoftonline.us","scopes":["openid","profile","User.Read"],"prompt":"consent"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCaddyfileErrors(t *testing.T) {
	t.Parallel()
	base := "tenant " + tenant + "\nclient_id " + client + "\nclient_secret s\n"
	for name, tt := range map[string]struct{ block, want string }{
		"unknown":             {base + "tenants x", `unrecognized subdirective "tenants" in provider entra: the words here are authority, client_id, client_secret, prompt, scopes, tenant, verify_account`},
		"missing value":       {base + "prompt", "prompt has no value: write prompt <value>"},
		"extra value":         {base + "prompt login consent", "prompt has 2 values and takes one"},
		"twice":               {base + "tenant x.example", "tenant is written twice in provider entra: keep one line"},
		"common":              {"tenant common", "tenant: common would let in people of every organisation"},
		"organizations":       {"tenant Organizations", "tenant: organizations would let in people of every organisation"},
		"consumers":           {"tenant consumers", "consumers would let in people"},
		"tenant is no domain": {"tenant contoso", "tenant: write the tenant's id"},
		"authority with path": {base + "authority https://login.example/x", "authority: write the host alone"},
		"authority by http":   {base + "authority http://login.example", "authority: write an https URL"},
		"scope":               {base + `scopes "a b"`, "is not one scope"},
		"prompt none":         {base + "prompt none", "prompt: write login, consent or select_account"},
		"no tenant":           {"client_id " + client + "\nclient_secret s", "provider entra has no tenant: write tenant <id or domain>"},
		"no client_id":        {"tenant " + tenant + "\nclient_secret s", "provider entra has no client_id"},
		"no client_secret":    {"tenant " + tenant + "\nclient_id " + client, "provider entra has no client_secret"},
		"foreign placeholder": {"tenant {http.request.host}", "the only placeholders here are"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := unmarshal("entra {\n" + tt.block + "\n}")
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "Testfile:") {
				t.Errorf("got %v, want a position and %q", err, tt.want)
			}
		})
	}
}

func TestProvision(t *testing.T) {
	t.Setenv("MCPO_TEST_ENTRA_SECRET", "s3cret")
	t.Setenv("MCPO_TEST_ENTRA_TENANT", strings.ToUpper(tenant))
	m := &Module{Tenant: "{env.MCPO_TEST_ENTRA_TENANT}", ClientID: strings.ToUpper(client), ClientSecret: "{env.MCPO_TEST_ENTRA_SECRET}"}
	if err := m.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	c := m.config
	if c.Tenant != tenant || c.ClientID != client || c.ClientSecret.Reveal() != "s3cret" || c.Authority != "https://login.microsoftonline.com" ||
		!slices.Equal(c.Scopes, oidc.DefaultScopes()) || c.Prompt != "" {
		t.Errorf("resolved %+v", c)
	}
	if got := (dialect{c}).DiscoveryURL(); got != "https://login.microsoftonline.com/"+tenant+"/v2.0/.well-known/openid-configuration" {
		t.Errorf("discovery at %s", got)
	}
	p, err := m.Build(provider.Env{})
	if err != nil || p.Name() != "Microsoft" {
		t.Errorf("built %v, %v", p, err)
	}
	out, err := json.Marshal(m)
	if err != nil || strings.Contains(string(out), "s3cret") {
		t.Errorf("the configuration shows the secret: %s %v", out, err)
	}
}

func TestProvisionErrors(t *testing.T) {
	t.Setenv("MCPO_TEST_ENTRA_COMMON", "COMMON")
	good := Module{Tenant: tenant, ClientID: client, ClientSecret: "s"}
	for name, tt := range map[string]struct {
		change func(*Module)
		want   string
	}{
		"no tenant":          {func(m *Module) { m.Tenant = "" }, "provider entra has no tenant"},
		"no client_id":       {func(m *Module) { m.ClientID = "" }, "provider entra has no client_id"},
		"no client_secret":   {func(m *Module) { m.ClientSecret = "" }, "provider entra has no client_secret"},
		"common by variable": {func(m *Module) { m.Tenant = "{env.MCPO_TEST_ENTRA_COMMON}" }, "tenant: common would let in"},
		"not set":            {func(m *Module) { m.ClientID = "{env.MCPO_TEST_ABSENT}" }, "set the environment variable"},
		"no openid":          {func(m *Module) { m.Scopes = []string{"profile"} }, "scopes: add openid"},
		"no profile":         {func(m *Module) { m.Scopes = []string{"openid"} }, "scopes: add profile"},
		"two resources": {
			func(m *Module) { m.Scopes = []string{"openid", "profile", "User.Read", "api://x/MCP.Access"} },
			"are two resources",
		},
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
	good := Module{Tenant: tenant, ClientID: client, ClientSecret: "s3cret", Prompt: "login"}
	identity := func(change func(*Module)) string {
		m := good
		change(&m)
		if err := m.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		return m.Identity()
	}
	seen := map[string]bool{identity(func(*Module) {}): true}
	for i, change := range []func(*Module){
		func(m *Module) { m.Tenant = "contoso.example" }, func(m *Module) { m.ClientID = tenant }, func(m *Module) { m.ClientSecret += "x" },
		func(m *Module) { m.Prompt = "" }, func(m *Module) { m.Authority = "login.microsoftonline.us" },
		func(m *Module) { m.Scopes = []string{"openid", "profile"} },
	} {
		id := identity(change)
		if seen[id] {
			t.Errorf("change %d does not change the identity", i)
		}
		seen[id] = true
	}
	same := func(m *Module) {
		m.Tenant, m.Authority, m.Scopes = strings.ToUpper(tenant), "https://LOGIN.microsoftonline.com/", oidc.DefaultScopes()
	}
	if !seen[identity(same)] {
		t.Error("another spelling of the same has another identity")
	}
}

func TestAuthority(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"login.microsoftonline.com": "https://login.microsoftonline.com", "https://Login.Example/": "https://login.example",
		"http://localhost:8080": "http://localhost:8080", "http://127.0.0.1:1": "http://127.0.0.1:1", "login.example:8443": "https://login.example:8443",
		"": "", "http://login.example": "", "https://login.example/x": "", "login.example/x": "", "https://u@login.example": "", "https://a?b": "", "ftp://a": "", "a b": "",
	} {
		if got, err := authorityURL(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestTenant(t *testing.T) {
	t.Parallel()
	for _, v := range []string{tenant, strings.ToUpper(tenant), "contoso.com", "contoso.onmicrosoft.com", "a-b.example"} {
		if err := checkTenant(v); err != nil {
			t.Errorf("%q: %v", v, err)
		}
	}
	for _, v := range []string{"", "contoso", "common", "COMMON", "a/b.example", "-a.example", "a..example", "{" + tenant + "}", tenant[1:], "a.example/..", "10.0.0.1"} {
		if checkTenant(v) == nil {
			t.Errorf("%q was accepted", v)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	base := []string{"openid", "profile"}
	for _, good := range [][]string{
		nil, {"offline_access"}, {"User.Read", "https://graph.microsoft.com/Mail.Read"}, {client + "/A", client + "/B"}, {"https://a.example//.default"},
	} {
		if err := checkScopes(append(slices.Clone(base), good...)); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, bad := range [][]string{{"User.Read", client + "/A"}, {"api://a/x", "api://b/x"}} {
		if checkScopes(append(slices.Clone(base), bad...)) == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

// TestEveryFieldIsAWord: the Caddyfile and JSON say the same.
func TestEveryFieldIsAWord(t *testing.T) {
	t.Parallel()
	var got, want []string
	for _, w := range new(Module).words() {
		got = append(got, strings.Fields(w.Usage)[0])
	}
	typ := reflect.TypeFor[Module]()
	for i := range typ.NumField() {
		if tag, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ","); tag != "" {
			want = append(want, tag)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("words %v, fields %v", got, want)
	}
}

// What people mix up in the portal is said, and no more: an emulator may differ.
func TestSuspicions(t *testing.T) {
	t.Parallel()
	const guid = "3b1d9f04-58c2-4a7e-b6d1-7e20c95af813"
	for name, c := range map[string]struct {
		id, secret string
		want       int
	}{
		"as it should be":  {guid, "a~secret~value", 0},
		"id of the secret": {guid, strings.ToUpper(guid), 1},
		"name as id":       {"my-app", "a~secret~value", 1},
	} {
		config := Config{Client: oidc.Client{ClientID: c.id, ClientSecret: secret.New(c.secret)}}
		if got := suspicions(config); len(got) != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
