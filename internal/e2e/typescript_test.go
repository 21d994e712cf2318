// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clienttest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// discovered is what a TypeScript client found out.
type discovered struct {
	Challenges []clienttest.Challenge
	Found      map[string]struct{ Resource, Issuer, Authorization, Token, Registration string }
}

// runTypeScript has the published TypeScript clients read challenges, and find the servers
// behind URLs.
func runTypeScript(t *testing.T, challenges, pasted []string) map[string]discovered {
	t.Helper()
	script, err := os.ReadFile("testdata/typescript/discover.mjs")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]discovered{}
	mcptest.RunNode(t, map[string]string{"discover.mjs": string(script)}, "discover.mjs",
		map[string][]string{"challenges": challenges, "pasted": pasted}, &out)
	if len(out) != 2 {
		t.Fatalf("%v", out)
	}
	return out
}

// The published TypeScript clients find the server themselves, and read challenges as the
// rules say that stand for them in other tests: those that are sent, and those that nobody
// should send.
func TestTypeScriptClients(t *testing.T) {
	t.Parallel()
	w, all := refusing(t, "")
	challenges := []string{
		`Basic realm="x"`, `Bearer`, `bearer scope=a`, `Basic realm="x", Bearer scope="a b"`, `DPoP scope="a", resource_metadata="https://h.example/x"`,
		`Bearer error_description="a, b", scope="x"`, `Bearer resource_metadata=":"`, `Bearer  scope="two spaces"`, `Bearer scope=""`,
	}
	for _, r := range all {
		if value := w.refuse(r).header.Get("WWW-Authenticate"); value != "" {
			challenges = append(challenges, value)
		}
	}
	pasted := []string{w.resource, w.resource + "/", w.origin + "/other"}
	found := runTypeScript(t, challenges, pasted)
	for _, client := range clienttest.Clients() {
		got, ok := found[client.Name]
		if !ok {
			continue
		}
		for i, value := range challenges {
			want, _ := client.Challenge([]string{value})
			if strings.Contains(client.Name, "1.32.2") {
				want.Description = "" // which that version does not read
			}
			if got.Challenges[i] != want {
				t.Errorf("%s reads %s as %+v; the rule says %+v", client.Name, value, got.Challenges[i], want)
			}
		}
		for _, url := range pasted {
			f := got.Found[url]
			if f.Resource != url && f.Resource+"/" != url || f.Issuer != w.issuer || f.Authorization != w.issuer+"/authorize" ||
				f.Token != w.issuer+"/token" || f.Registration != w.issuer+"/register" {
				t.Errorf("%s at %s: %+v", client.Name, url, f)
			}
		}
	}
}
