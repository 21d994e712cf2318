// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

const (
	someKey       = "c29tZS1zZWNyZXQta2V5"
	someSignature = "sv=2024-11-04&ss=t&srt=so&sp=raud&sig=c2lnbmF0dXJl"
	keyed         = "DefaultEndpointsProtocol=https;AccountName=some1;AccountKey=" + someKey + ";EndpointSuffix=core.windows.net"
)

func parse(t *testing.T, text string) (string, error) {
	t.Helper()
	d := caddyfile.NewTestDispenser(text)
	d.Next() // store
	d.Next() // azure_table
	m, err := caddyfile.UnmarshalModule(d, "http.mcp_oauth.stores.azure_table")
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
		{"placeholder", "connection_string {env.A}\n table {env.T}", `{"connection_string":"{env.A}","table":"{env.T}"}`, ""},
		{"managed identity", "endpoint https://some1.table.core.windows.net\n managed_identity", `{"endpoint":"https://some1.table.core.windows.net","managed_identity":"system_assigned"}`, ""},
		{"client id", "endpoint {env.E}\n managed_identity 11111111-2222-3333-4444-555555555555\n table abc", `{"endpoint":"{env.E}","table":"abc","managed_identity":"11111111-2222-3333-4444-555555555555"}`, ""},
		{"signature", `endpoint "https://some1.table.core.windows.net/?` + someSignature + `"`, `{"endpoint":"https://some1.table.core.windows.net/?` + strings.ReplaceAll(someSignature, "&", `\u0026`) + `"}`, ""},
		{"nothing", "", "", "it says nothing about the account: write connection_string <text>, or endpoint <url> and managed_identity"},
		{"both", "connection_string {env.A}\n endpoint {env.E}", "", "it has both connection_string and endpoint: keep one"},
		{"identity of a key", "connection_string {env.A}\n managed_identity", "", "managed_identity belongs to endpoint"},
		{"unknown", "account x", "", `unrecognized subdirective "account" in store azure_table: the words here are connection_string, endpoint, managed_identity, table`},
		{"connection_string missing", "connection_string", "", "connection_string has no value"},
		{"connection_string extra", "connection_string a b", "", "connection_string has 2 values and takes one"},
		{"connection_string twice", "connection_string {env.A}\n connection_string {env.A}", "", "connection_string is written twice"},
		{"connection_string type", "connection_string secret", "", `one of its parts has no "="`},
		{"connection_string brace", "connection_string {http.request.host}", "", "the only placeholders here"},
		{"endpoint missing", "endpoint", "", "endpoint has no value"},
		{"endpoint extra", "endpoint a b", "", "endpoint has 2 values and takes one"},
		{"endpoint twice", "endpoint {env.A}\n endpoint {env.A}", "", "endpoint is written twice"},
		{"endpoint type", "endpoint some1", "", "it is not a URL"},
		{"endpoint http", "endpoint http://some1.table.core.windows.net", "", "http is only for this machine"},
		{"endpoint query", "endpoint https://some1.table.core.windows.net/?a=b", "", "no sig= or no sv="},
		{"table missing", "connection_string {env.A}\n table", "", "table has no value"},
		{"table extra", "connection_string {env.A}\n table a b", "", "table has 2 values and takes one"},
		{"table twice", "connection_string {env.A}\n table abc\n table abc", "", "table is written twice"},
		{"table short", "connection_string {env.A}\n table ab", "", `"ab" is not a table name`},
		{"table digit", "connection_string {env.A}\n table 1abc", "", `"1abc" is not a table name`},
		{"table dash", "connection_string {env.A}\n table mcp-oauth", "", `"mcp-oauth" is not a table name`},
		{"table reserved", "connection_string {env.A}\n table Tables", "", `"Tables" is not a table name`},
		{"identity extra", "endpoint {env.E}\n managed_identity a b", "", "managed_identity has 2 values and takes one"},
		{"identity twice", "endpoint {env.E}\n managed_identity\n managed_identity", "", "managed_identity is written twice"},
		{"identity type", "endpoint {env.E}\n managed_identity me", "", `"me" is not a client id`},
		{"block", "connection_string {env.A}\n table abc {\n x\n }", "", "table is not written like this: write table <name>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(t, "store azure_table {\n "+test.block+"\n}")
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
	if _, err := parse(t, "store azure_table name"); err == nil || !strings.Contains(err.Error(), `unexpected "name": write store azure_table { ... }`) {
		t.Errorf("an argument: %v", err)
	}
}

// Not parallel: it sets environment variables.
func TestProvision(t *testing.T) {
	t.Setenv("MCPOAUTH_TEST_CONNECTION", keyed)
	t.Setenv("MCPOAUTH_TEST_HALF", "AccountName=some1;AccountKey=")
	t.Setenv("MCPOAUTH_TEST_SIGNED", "https://some1.table.core.windows.net/?"+someSignature)
	const plain = "https://some1.table.core.windows.net"
	for _, test := range []struct {
		module    Module
		want, err string
	}{
		{Module{ConnectionString: "{env.MCPOAUTH_TEST_CONNECTION}"}, plain + "/mcpoauth", ""},
		{Module{ConnectionString: "AccountName=some1;AccountKey=" + someKey, Table: "other"}, plain + "/other", ""},
		{Module{ConnectionString: keyed + ";TableEndpoint=https://some1.table.cosmos.azure.com:443/;"}, "https://some1.table.cosmos.azure.com:443/mcpoauth", ""},
		{Module{ConnectionString: "BlobEndpoint=https://some1.blob.core.windows.net/;TableEndpoint=" + plain + "/;SharedAccessSignature=" + someSignature}, plain + "/mcpoauth", ""},
		{Module{ConnectionString: "usedevelopmentstorage=True;"}, "http://127.0.0.1:10002/devstoreaccount1/mcpoauth", ""},
		{Module{Endpoint: "{env.MCPOAUTH_TEST_SIGNED}"}, plain + "/mcpoauth", ""},
		{Module{Endpoint: plain + "/", ManagedIdentity: "system_assigned"}, plain + "/mcpoauth", ""},
		{Module{}, "", "store azure_table: it says nothing about the account"},
		{Module{Endpoint: plain}, "", "the endpoint has no shared access signature: write managed_identity"},
		{Module{Endpoint: "{env.MCPOAUTH_TEST_SIGNED}", ManagedIdentity: "system_assigned"}, "", "keep one"},
		{Module{ConnectionString: "{env.MCPOAUTH_TEST_HALF}"}, "", "neither AccountName and AccountKey nor"},
		{Module{ConnectionString: "{env.MCPOAUTH_TEST_UNSET}"}, "", "MCPOAUTH_TEST_UNSET"},
		{Module{ConnectionString: keyed + ";Secret=" + someKey}, "", "a name that is unknown here"},
		{Module{ConnectionString: keyed + ";AccountName=other"}, "", "AccountName is in it twice"},
		{Module{ConnectionString: "AccountName=some1;AccountKey=not base64"}, "", "its AccountKey is not base64"},
		{Module{ConnectionString: "AccountName=a/b;AccountKey=" + someKey}, "", "its AccountName is none"},
		{Module{ConnectionString: "DefaultEndpointsProtocol=http;AccountName=some1;AccountKey=" + someKey}, "", "http is only for this machine"},
		{Module{ConnectionString: "UseDevelopmentStorage=false"}, "", "stands alone"},
		{Module{ConnectionString: "UseDevelopmentStorage=true;AccountKey=" + someKey}, "", "stands alone"},
		{Module{ConnectionString: keyed + ";SharedAccessSignature=" + someSignature}, "", "both AccountKey and SharedAccessSignature"},
		{Module{ConnectionString: "TableEndpoint=" + plain + ";SharedAccessSignature=sp=r"}, "", "no sig= or no sv="},
		{Module{ConnectionString: "TableEndpoint=" + plain + "/?" + someSignature + ";AccountName=some1;AccountKey=" + someKey}, "", "write the signature as SharedAccessSignature"},
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
		printed := fmt.Sprintf("%v %+v %#v %s", err, m.config, m.config, m.Identity())
		for _, secret := range []string{someKey, "c2lnbmF0dXJl"} {
			if strings.Contains(printed, secret) {
				t.Errorf("a secret is printed: %s", printed)
			}
		}
	}
}
