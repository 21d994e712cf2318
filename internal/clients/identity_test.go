// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"crypto/rand"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

func TestSameRegistrationIsOneRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register(t, `{"redirect_uris":["https://a.example/cb","http://localhost:1111/cb","http://127.0.0.1/"],"client_name":"A","scope":"mcp admin"}`)
	for body, wantURIs := range map[string][]string{
		`{"redirect_uris":["https://a.example/cb","http://localhost:1111/cb","http://127.0.0.1/"],"client_name":"A","scope":"mcp admin"}`:                                                     {"https://a.example/cb", "http://localhost:1111/cb", "http://127.0.0.1/"},
		`{"client_name":"A","scope":"admin  mcp","redirect_uris":["http://127.0.0.1:5/","http://localhost:2222/cb","https://a.example/cb"]}`:                                                  {"http://127.0.0.1:5/", "http://localhost:2222/cb", "https://a.example/cb"},
		`{"redirect_uris":["javascript:alert(1)","https://a.example/cb","http://localhost/cb","http://127.0.0.1:7/"],"client_name":" A\u202e\u0000","scope":"mcp admin unknown","x":1}`:       {"https://a.example/cb", "http://localhost/cb", "http://127.0.0.1:7/"},
		`{"redirect_uris":["https://a.example/cb","http://localhost:1/cb","http://localhost:2/cb","http://127.0.0.1:7/"],"client_name":"A","scope":"mcp admin","application_type":"native"}`:  {"https://a.example/cb", "http://localhost:1/cb", "http://localhost:2/cb", "http://127.0.0.1:7/"},
		`{"redirect_uris":["https://a.example/cb","http://localhost:1/cb","http://127.0.0.1/"],"client_name":"A","scope":"mcp admin","grant_types":["refresh_token","authorization_code"]}`:   {"https://a.example/cb", "http://localhost:1/cb", "http://127.0.0.1/"},
		`{"redirect_uris":["https://a.example/cb","http://localhost:1/cb","http://127.0.0.1/"],"client_name":"A","scope":"mcp admin","token_endpoint_auth_method":"none","jwks_uri":"file:"}`: {"https://a.example/cb", "http://localhost:1/cb", "http://127.0.0.1/"},
	} {
		resp := w.register(t, body)
		if resp.ClientID != first.ClientID || resp.ClientIDIssuedAt != first.ClientIDIssuedAt {
			t.Errorf("%s has another id", body)
		}
		if !reflect.DeepEqual(resp.RedirectURIs, wantURIs) {
			t.Errorf("%s: echoed %q", body, resp.RedirectURIs)
		}
	}
	if n := w.store.creates.Load(); n != 1 {
		t.Errorf("%d records were created", n)
	}
	for _, body := range []string{
		`{"redirect_uris":["https://a.example/cb","http://localhost/cb"],"client_name":"A","scope":"mcp admin"}`,
		`{"redirect_uris":["https://a.example/cb","http://localhost/cb","http://127.0.0.1/"],"client_name":"B","scope":"mcp admin"}`,
		`{"redirect_uris":["https://a.example/cb","http://localhost/cb","http://127.0.0.1/"],"client_name":"A","scope":"mcp"}`,
		`{"redirect_uris":["https://a.example/cb","http://localhost/cb","http://127.0.0.1/"],"client_name":"A","scope":"mcp admin","client_uri":"https://b.example/"}`,
		`{"redirect_uris":["https://a.example/cb","http://localhost/cb","http://127.0.0.1/"],"client_name":"A","scope":"mcp admin","grant_types":["authorization_code"]}`,
	} {
		if resp := w.register(t, body); resp.ClientID == first.ClientID {
			t.Errorf("%s has the same id", body)
		}
	}
}

// TestPublicIDVector pins the id: it must be the same on every node and in every version.
func TestPublicIDVector(t *testing.T) {
	t.Parallel()
	got := publicID(record{
		Redirects: []string{"http://localhost/cb", "https://a.example/cb?x=1&y=<"}, Name: "A \"☃\"", URI: "https://a.example/",
		Grants: []string{GrantCode, GrantRefresh}, Scope: "admin mcp", Created: 1, Used: true,
	})
	if want := "dcr_ki28JUiydo52NawdOxMJ5AHf20fN7UEVRWD8pvHAUrM"; got != want || !isDynamicID(got) {
		t.Errorf("publicID = %s, want %s", got, want)
	}
}

func TestSameIDOnEveryNodeAndIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := []byte(`{"redirect_uris":["https://claude.ai/api/mcp/auth_callback"],"client_name":"Claude"}`)
	ids := map[string]bool{}
	for _, issuer := range []string{"https://mcp.example.com/oauth", "https://mcp.example.com/oauth", "https://other.example.com/oauth"} {
		resp, err := w.node(t, issuer, rand.Reader).Register(t.Context(), rules, home, body)
		if err != nil {
			t.Fatal(err)
		}
		ids[resp.ClientID] = true
	}
	if len(ids) != 1 {
		t.Errorf("ids %v", ids)
	}
}

func TestConfidentialClientsAreNeverShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := `{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"client_secret_basic"}`
	a, b := w.register(t, body), w.register(t, body)
	if a.ClientID == b.ClientID || a.ClientSecret.Equal(b.ClientSecret) {
		t.Error("two confidential clients share id or secret")
	}
	for _, resp := range []*oauth.RegistrationResponse{a, b} {
		sec := resp.ClientSecret.Reveal()
		if !isDynamicID(resp.ClientID) || !strings.HasPrefix(sec, "mcpo_cs_") || len(sec) != len("mcpo_cs_")+43 {
			t.Errorf("id %q, secret of %d characters", resp.ClientID, len(sec))
		}
	}
	if n := w.events.count(event.ClientRegistered); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestClientNamesAndURIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("é", 300)
	for in, want := range map[string]string{
		`Claude`: "Claude", `\u202eedualC`: "edualC", `A\u0000\u0007\nB`: "A B", ` \t `: "", `zero\u200bwidth\ufeff`: "zerowidth",
		`\u001b[31mred`: "[31mred", `<b>\"x\"</b>`: `<b>"x"</b>`, `日本語 ☃`: "日本語 ☃", `a\u2028b`: "a b", long: strings.Repeat("é", 200),
		`\ud800`: "\ufffd",
	} {
		resp := w.register(t, `{"redirect_uris":["https://a.example/"],"client_name":"`+in+`"}`)
		if c := w.find(t, resp.ClientID); resp.ClientName != want || c.Name != want {
			t.Errorf("%q became %q, %q", in, resp.ClientName, c.Name)
		}
	}
	for in, want := range map[string]string{
		"https://a.example/x": "https://a.example/x", "http://a.example/": "", "javascript:alert(1)": "", "http://localhost/": "", "https://u@a.example/": "", "x": "",
	} {
		if resp := w.register(t, `{"redirect_uris":["https://a.example/"],"client_uri":"`+in+`"}`); resp.ClientURI != want {
			t.Errorf("%q became %q", in, resp.ClientURI)
		}
	}
}

func TestRegistrationRaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limits := rules
	limits.Rate = 1000
	ids := make(chan string, 32)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			node := w.Registry
			if i%2 == 1 {
				node = w.node(t, "https://mcp.example.com/oauth", rand.Reader)
			}
			resp, err := node.Register(t.Context(), limits, home, []byte(`{"redirect_uris":["https://a.example/"]}`))
			if err != nil {
				t.Error(err)
				return
			}
			ids <- resp.ClientID
		})
	}
	wg.Wait()
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		seen[id] = true
	}
	if len(seen) != 1 || w.events.count(event.ClientRegistered) != 1 {
		t.Errorf("ids %v, %d events", seen, w.events.count(event.ClientRegistered))
	}
}
