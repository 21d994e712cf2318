// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// What a server must not send, and which clients misread it. The others, which are more
// tolerant, read it as it was meant.
func TestMisreadChallenges(t *testing.T) {
	t.Parallel()
	good := Challenge{Metadata: "https://h.example/x", Scope: "a b", Error: "invalid_token", Description: "no, it is not"}
	for _, c := range []struct {
		values  []string
		misread []string
	}{
		{[]string{`Bearer resource_metadata="https://h.example/x", scope="a b", error="invalid_token", error_description="no, it is not"`}, []string{"C#"}},
		{[]string{`Basic realm="x", Bearer resource_metadata="https://h.example/x", scope="a b", error="invalid_token", error_description="no, it is not"`}, []string{"C#", "TypeScript", "VS Code"}},
		{[]string{`Bearer resource_metadata="https://h.example/x" scope="a b" error="invalid_token" error_description="no, it is not"`}, []string{"C#", "Go", "VS Code"}},
		{[]string{`Bearer error_description="no, it is not", resource_metadata="https://h.example/x", scope="a b", error="invalid_token", x=`}, []string{"C#", "Go"}},
	} {
		for _, client := range Clients() {
			got, err := client.Challenge(c.values)
			bad := slices.ContainsFunc(c.misread, func(name string) bool { return strings.HasPrefix(client.Name, name) })
			if (err != nil || got != good) != bad {
				t.Errorf("%s reads %q as %+v, %v", client.Name, c.values, got, err)
			}
		}
	}
}

const resourceText = `{"resource":"https://h.example/mcp","authorization_servers":["https://h.example/oauth"],"scopes_supported":["mcp"]}`

func page(url, body string) Page {
	return Page{URL: url, Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
}

func TestRefusedResources(t *testing.T) {
	t.Parallel()
	at := Place{"https://h.example/.well-known/oauth-protected-resource/mcp", "https://h.example/mcp"}
	for body, refused := range map[string]string{
		resourceText: "nobody",
		strings.Replace(resourceText, "h.example/mcp", "evil.example/mcp", 1):                     "everybody",
		strings.Replace(resourceText, "h.example/mcp", "h.example/mcpx", 1):                       "everybody",
		strings.Replace(resourceText, "h.example/mcp", "h.example/mcp/", 1):                       "TypeScript mcp-remote Go VS",
		strings.Replace(resourceText, "h.example/mcp", "H.example/mcp", 1):                        "Go",
		strings.Replace(resourceText, "h.example/mcp", "h.example", 1):                            "Go VS",
		strings.Replace(resourceText, `["https://h.example/oauth"]`, `[]`, 1):                     "everybody",
		strings.Replace(resourceText, `["https://h.example/oauth"]`, `"https://h.example"`, 1):    "everybody",
		strings.Replace(resourceText, `["https://h.example/oauth"]`, `["javascript:alert()"]`, 1): "everybody",
		"<html>": "everybody",
	} {
		for _, client := range Clients() {
			r, err := client.Resource(page(at.URL, body), at)
			first, _, _ := strings.Cut(client.Name, " ")
			bad := refused == "everybody" || strings.Contains(refused, first)
			if (err != nil) != bad {
				t.Errorf("%s, %s: %+v, %v", client.Name, body, r, err)
			}
		}
	}
}

const serverText = `{"issuer":"https://h.example/oauth","authorization_endpoint":"https://h.example/oauth/authorize",` +
	`"token_endpoint":"https://h.example/oauth/token","jwks_uri":"https://h.example/oauth/jwks","response_types_supported":["code"],` +
	`"token_endpoint_auth_methods_supported":["client_secret_post"],"code_challenge_methods_supported":["S256"],` +
	`"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]}`

func TestRefusedServers(t *testing.T) {
	t.Parallel()
	const issuer = "https://h.example/oauth"
	for body, refused := range map[string]string{
		serverText: "nobody",
		strings.Replace(serverText, issuer+`"`, `https://evil.example"`, 1):                                              "TypeScript mcp-remote Go Python C#",
		strings.Replace(serverText, issuer+`"`, issuer+`/"`, 1):                                                          "TypeScript mcp-remote Python C#",
		strings.Replace(serverText, `"code_challenge_methods_supported":["S256"],`, "", 1):                               "everybody",
		strings.Replace(serverText, `,"subject_types_supported":["public"]`, "", 1):                                      "TypeScript mcp-remote",
		strings.Replace(serverText, `"token_endpoint_auth_methods_supported":["client_secret_post"],`, "", 1):            "C#",
		strings.Replace(serverText, `"authorization_endpoint":"https`, `"authorization_endpoint":"javascript`, 1):        "everybody",
		strings.Replace(serverText, `"response_types_supported":["code"]`, `"response_types_supported":"code"`, 1):       "everybody",
		strings.Replace(serverText, `"https://h.example/oauth/token"`, `null`, 1):                                        "TypeScript mcp-remote Python C# VS",
		strings.Replace(serverText, `"jwks_uri":"https://h.example/oauth/jwks"`, `"jwks_uri":"h.example/oauth/jwks"`, 1): "TypeScript mcp-remote VS",
	} {
		for _, client := range Clients() {
			s, err := client.Server(page(issuer+openIDDocument, body), issuer)
			first, _, _ := strings.Cut(client.Name, " ")
			bad := refused == "everybody" || strings.Contains(refused, first)
			if (err != nil) != bad {
				t.Errorf("%s, %s: %+v, %v", client.Name, body, s, err)
			}
		}
	}
}

// The places are those that the sources name.
func TestPlaces(t *testing.T) {
	t.Parallel()
	const root = "https://h.example/.well-known/oauth-protected-resource"
	want := map[string][]string{
		"TypeScript SDK 1.32.2":   {root + "/mcp", root},
		"TypeScript client 2.4.0": {root + "/mcp", root},
		"mcp-remote 0.15.1":       {root + "/mcp", root},
		"Go SDK 1.8.0":            {root + "/mcp/", root},
		"Python SDK (2026-08)":    {root + "/mcp/", root},
		"C# SDK 2.2.0":            {root + "/mcp", root},
		"VS Code (2026-08)":       {root + "/mcp/", root},
	}
	for _, client := range Clients() {
		var got []string
		for _, p := range client.Places("https://h.example/mcp/", "") {
			got = append(got, p.URL)
		}
		if !slices.Equal(got, want[client.Name]) {
			t.Errorf("%s looks at %q", client.Name, got)
		}
		announced := client.Places("https://h.example/mcp/", "https://a.example/d")
		only := strings.HasPrefix(client.Name, "TypeScript") || strings.HasPrefix(client.Name, "C#") || strings.HasPrefix(client.Name, "VS")
		if announced[0].URL != "https://a.example/d" || (len(announced) == 1) != only {
			t.Errorf("%s looks at %q", client.Name, announced)
		}
		if got := client.ServerURLs("https://h.example/oauth"); got[0] != "https://h.example/.well-known/oauth-authorization-server/oauth" ||
			got[len(got)-1] != "https://h.example/oauth/.well-known/openid-configuration" {
			t.Errorf("%s looks at %q", client.Name, got)
		}
		if got := client.ServerURLs("https://h.example"); len(got) != 2 {
			t.Errorf("%s looks at %q", client.Name, got)
		}
	}
}
