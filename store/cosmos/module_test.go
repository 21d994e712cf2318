// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

const (
	someEndpoint = "https://some1.documents.azure.com:443"
	keyed        = "AccountEndpoint=" + someEndpoint + "/;AccountKey=" + someKey + ";"
)

func parse(t *testing.T, text string) (string, error) {
	t.Helper()
	d := caddyfile.NewTestDispenser(text)
	d.Next() // store
	d.Next() // cosmos
	m, err := caddyfile.UnmarshalModule(d, "http.mcp_oauth.stores.cosmos")
	if err != nil {
		return "", err
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), nil
}

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, block, want, err string }{
		{"connection string", `connection_string "` + keyed + `"`, `{"connection_string":"` + keyed + `"}`, ""},
		{"placeholders", "connection_string {env.A}\n database {env.D}\n container {env.C}", `{"connection_string":"{env.A}","database":"{env.D}","container":"{env.C}"}`, ""},
		{"managed identity", "endpoint " + someEndpoint + "\n managed_identity", `{"endpoint":"` + someEndpoint + `","managed_identity":"system_assigned"}`, ""},
		{"client id", "endpoint {env.E}\n managed_identity 11111111-2222-3333-4444-555555555555", `{"endpoint":"{env.E}","managed_identity":"11111111-2222-3333-4444-555555555555"}`, ""},
		{"nothing", "", "", "it says nothing about the account: write connection_string <text>, or endpoint <url> and managed_identity"},
		{"both", "connection_string {env.A}\n endpoint {env.E}", "", "it has both connection_string and endpoint: keep one"},
		{"identity of a key", "connection_string {env.A}\n managed_identity", "", "managed_identity belongs to endpoint"},
		{"endpoint without identity", "endpoint {env.E}", "", "endpoint needs managed_identity"},
		{"unknown", "table x", "", `unrecognized subdirective "table" in store cosmos: the words here are connection_string, container, database, endpoint, managed_identity`},
		{"connection_string missing", "connection_string", "", "connection_string has no value"},
		{"connection_string extra", "connection_string a b", "", "connection_string has 2 values and takes one"},
		{"connection_string twice", "connection_string {env.A}\n connection_string {env.A}", "", "connection_string is written twice"},
		{"connection_string type", "connection_string secret", "", `one of its parts has no "="`},
		{"connection_string half", "connection_string AccountEndpoint=" + someEndpoint, "", "it lacks AccountEndpoint or AccountKey"},
		{"connection_string brace", "connection_string {http.request.host}", "", "the only placeholders here"},
		{"endpoint missing", "endpoint", "", "endpoint has no value"},
		{"endpoint extra", "endpoint a b", "", "endpoint has 2 values and takes one"},
		{"endpoint twice", "endpoint {env.A}\n endpoint {env.A}", "", "endpoint is written twice"},
		{"endpoint type", "endpoint some1", "", "it is not a URL"},
		{"endpoint http", "endpoint http://some1.documents.azure.com", "", "http is only for this machine"},
		{"endpoint path", "endpoint " + someEndpoint + "/dbs", "", "it has a path or a query"},
		{"endpoint table", "endpoint https://some1.table.cosmos.azure.com", "", "use store azure_table"},
		{"database missing", "connection_string {env.A}\n database", "", "database has no value"},
		{"database extra", "connection_string {env.A}\n database a b", "", "database has 2 values and takes one"},
		{"database twice", "connection_string {env.A}\n database a\n database a", "", "database is written twice"},
		{"database slash", "connection_string {env.A}\n database a/b", "", `"a/b" is not a name`},
		{"container missing", "connection_string {env.A}\n container", "", "container has no value"},
		{"container extra", "connection_string {env.A}\n container a b", "", "container has 2 values and takes one"},
		{"container twice", "connection_string {env.A}\n container a\n container a", "", "container is written twice"},
		{"container empty", "connection_string {env.A}\n container \"\"", "", `"" is not a name`},
		{"container blank", "connection_string {env.A}\n container \"a \"", "", `"a " is not a name`},
		{"identity extra", "endpoint {env.E}\n managed_identity a b", "", "managed_identity has 2 values and takes one"},
		{"identity twice", "endpoint {env.E}\n managed_identity\n managed_identity", "", "managed_identity is written twice"},
		{"identity type", "endpoint {env.E}\n managed_identity me", "", `"me" is not a client id`},
		{"block", "connection_string {env.A}\n database a {\n x\n }", "", "database is not written like this: write database <name>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(t, "store cosmos {\n "+test.block+"\n}")
			if test.err == "" {
				if err != nil || got != test.want {
					t.Fatalf("%s, %v, want %s", got, err, test.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), "Testfile:") {
				t.Fatalf("error is %v, want one with %q and a position", err, test.err)
			}
		})
	}
	if _, err := parse(t, "store cosmos name"); err == nil || !strings.Contains(err.Error(), `unexpected "name": write store cosmos { ... }`) {
		t.Errorf("an argument: %v", err)
	}
}

// Not parallel: it sets environment variables.
func TestProvision(t *testing.T) {
	t.Setenv("MCPOAUTH_TEST_CONNECTION", keyed)
	for _, test := range []struct {
		module    Module
		want, err string
	}{
		{Module{ConnectionString: "{env.MCPOAUTH_TEST_CONNECTION}"}, someEndpoint + "/mcp-oauth/state", ""},
		{Module{ConnectionString: strings.ToLower("AccountKey=") + someKey + "; accountendpoint = " + someEndpoint, Database: "d", Container: "c"}, someEndpoint + "/d/c", ""},
		{Module{Endpoint: someEndpoint + "/", ManagedIdentity: "system_assigned"}, someEndpoint + "/mcp-oauth/state", ""},
		{Module{}, "", "store cosmos: it says nothing about the account"},
		{Module{Endpoint: someEndpoint}, "", "endpoint needs managed_identity"},
		{Module{ConnectionString: "{env.MCPOAUTH_TEST_UNSET}"}, "", "MCPOAUTH_TEST_UNSET"},
		{Module{ConnectionString: keyed + "Database=" + someKey}, "", "a name that is unknown here"},
		{Module{ConnectionString: keyed + "AccountKey=" + someKey}, "", "AccountKey is in it twice"},
		{Module{ConnectionString: "AccountEndpoint=" + someEndpoint + ";AccountKey=not base64"}, "", "its AccountKey is not base64"},
		{Module{ConnectionString: "AccountEndpoint=some1;AccountKey=" + someKey}, "", "its AccountEndpoint: it is not a URL"},
	} {
		m := test.module
		err := m.Provision(caddy.Context{Context: t.Context()})
		if test.err == "" {
			if err != nil || m.Identity() != test.want {
				t.Errorf("%q%q: identity %q, %v, want %q", m.ConnectionString, m.Endpoint, m.Identity(), err, test.want)
			}
		} else if err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%q%q: error is %v, want %q", m.ConnectionString, m.Endpoint, err, test.err)
		}
		// A module is configuration that may be printed.
		if printed := fmt.Sprintf("%v %+v %#v %s", err, m.config, m.config, m.Identity()); strings.Contains(printed, someKey) {
			t.Errorf("the key is printed: %s", printed)
		}
	}
}
