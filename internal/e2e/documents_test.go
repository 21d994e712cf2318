// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clienttest"
)

// placed is where a site has its issuer and its resources, below its origin.
type placed struct {
	issuer    string
	resources []string
	// pasted are the URLs that people paste for the first resource.
	pasted []string
}

// places are all kinds of places. Clients compare the resource with what was pasted, some
// byte for byte: at the root the two have to be spelt alike.
var places = map[string]placed{
	"issuer with a path":             {"/oauth", []string{"/mcp"}, []string{"/mcp", "/mcp/"}},
	"issuer at the origin":           {"", []string{"/mcp"}, []string{"/mcp", "/mcp/"}},
	"issuer with two segments":       {"/a/b", []string{"/mcp/v1"}, []string{"/mcp/v1", "/mcp/v1/"}},
	"several resources":              {"/oauth", []string{"/mcp", "/other", "/more/deep"}, []string{"/mcp", "/mcp/"}},
	"resource at the root":           {"/oauth", []string{"/"}, []string{"/"}},
	"resource at the root, bare":     {"/oauth", []string{""}, []string{""}},
	"issuer and resource both there": {"", []string{"/"}, []string{"/"}},
	"one below the other":            {"/oauth", []string{"/mcp/inner", "/mcp", "/"}, []string{"/mcp/inner", "/mcp/inner/"}},
}

// page fetches what a client fetches.
func (w *world) page(url string) (clienttest.Page, error) {
	a := w.send(http.MethodGet, url, http.Header{"Accept": {"application/json"}, "Mcp-Protocol-Version": {"2026-07-28"}}, "")
	return clienttest.Page{URL: url, Status: a.status, Header: a.header, Body: []byte(a.body)}, nil
}

// Every client finds the server behind the URL that was pasted, from the challenge as well
// as without one.
func TestEveryClientFindsTheServer(t *testing.T) {
	t.Parallel()
	for name, p := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.issuer = w.origin + p.issuer
			words := "issuer " + w.issuer + "\n"
			for _, r := range p.resources {
				words += "resource " + w.origin + r + "\n"
			}
			w.start(globals("") + w.origin + " {\n" + block(words+w.entra()) + "reverse_proxy " + w.backend.addr() + "\n}\n")
			for _, pasted := range p.pasted {
				for _, client := range clienttest.Clients() {
					checkDiscovery(t, w, client, w.origin+pasted)
				}
			}
			checkDocuments(t, w, p)
		})
	}
}

func checkDiscovery(t *testing.T, w *world, client clienttest.Client, pasted string) {
	t.Helper()
	first := w.send(http.MethodPost, pasted, http.Header{"Content-Type": {"application/json"}}, `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`)
	challenge, err := client.Challenge(first.header.Values("WWW-Authenticate"))
	if err != nil || first.status != http.StatusUnauthorized || challenge.Metadata == "" || challenge.Scope != "mcp" || challenge.Error != "" {
		t.Errorf("%s, %s: %d, %+v, %v", client.Name, pasted, first.status, challenge, err)
	}
	for how, c := range map[string]clienttest.Challenge{"challenge": challenge, "no challenge": {}} {
		r, err := client.FindResource(w.page, pasted, c)
		if err != nil {
			t.Errorf("%s, %s, %s: %v", client.Name, pasted, how, err)
			continue
		}
		if strings.TrimSuffix(r.Resource, "/") != strings.TrimSuffix(pasted, "/") || r.Issuer != w.issuer || !slices.Equal(r.Scopes, []string{"mcp"}) {
			t.Errorf("%s, %s, %s: %+v", client.Name, pasted, how, r)
		}
		s, err := client.FindServer(w.page, r.Issuer)
		if err != nil || s.Issuer != w.issuer || s.Authorization != w.issuer+"/authorize" || s.Token != w.issuer+"/token" ||
			s.Registration != w.issuer+"/register" {
			t.Errorf("%s, %s, %s: %+v, %v", client.Name, pasted, how, s, err)
		}
	}
}

// checkDocuments reads every document as every client would that has come to it, and
// makes sure that there are no others.
func checkDocuments(t *testing.T, w *world, p placed) {
	t.Helper()
	const wellKnown = "/.well-known/"
	servers := []string{
		wellKnown + "oauth-authorization-server" + p.issuer, wellKnown + "openid-configuration" + p.issuer,
		p.issuer + wellKnown + "openid-configuration", p.issuer + wellKnown + "oauth-authorization-server",
		wellKnown + "oauth-authorization-server",
	}
	want := w.get(w.origin + servers[0]).body
	for _, path := range servers {
		page, _ := w.page(w.origin + path)
		for _, client := range clienttest.Clients() {
			if s, err := client.Server(page, w.issuer); err != nil || s.AuthMethods[0] != "client_secret_post" {
				t.Errorf("%s at %s: %+v, %v", client.Name, path, s, err)
			}
		}
		if string(page.Body) != want || page.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v %s", path, page.Header, page.Body)
		}
	}
	for _, r := range p.resources {
		for _, slash := range []string{"", "/"} {
			path, resource := wellKnown+"oauth-protected-resource"+strings.TrimSuffix(r, "/")+slash, w.origin+r
			if strings.Trim(r, "/") != "" {
				resource += slash
			}
			page, _ := w.page(w.origin + path)
			for _, client := range clienttest.Clients() {
				_, err := client.Resource(page, clienttest.Place{URL: w.origin + path, Resource: resource})
				// At the root the slash belongs to the spelling, and the Go SDK compares bytes.
				if err != nil && !(strings.Trim(r, "/") == "" && strings.HasPrefix(client.Name, "Go")) {
					t.Errorf("%s at %s: %v", client.Name, path, err)
				}
			}
		}
	}
	none := []string{
		wellKnown + "oauth-authorization-server/nothing", wellKnown + "openid-configuration/nothing", wellKnown + "oauth-protected-resource/nothing",
		wellKnown + "oauth-protected-resource/nothing/", wellKnown + "oauth-something",
	}
	if p.issuer != "" {
		none = append(none, p.issuer+wellKnown+"nothing")
	}
	for _, path := range none {
		if a := w.get(w.origin + path); a.status != http.StatusNotFound || a.header.Get("Content-Type") != "application/json" || a.member(t, "error") == "" {
			t.Errorf("%s: %d %v %s", path, a.status, a.header, a.body)
		}
	}
}
