// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// counter is randomness that everybody can predict, for whole answers.
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(*c)
		*c++
	}
	return len(p), nil
}

// TestFieldRegistrations registers every client as it was seen in the field and compares
// the whole answer.
func TestFieldRegistrations(t *testing.T) {
	t.Parallel()
	requests, err := filepath.Glob("testdata/*.request.json")
	if err != nil || len(requests) < 10 {
		t.Fatal(requests, err)
	}
	for _, file := range requests {
		name := strings.TrimSuffix(filepath.Base(file), ".request.json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.rand = new(counter)
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			resp := w.register(t, string(body))
			got, err := json.MarshalIndent(resp, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join("testdata", name+".response.json"))
			if err != nil {
				t.Error(err)
			}
			if !bytes.Equal(append(got, '\n'), want) {
				t.Errorf("answered\n%s\nwant\n%s", got, want)
			}
			checkFound(t, w, resp)
		})
	}
}

// checkFound holds the client that is found against what it was told.
func checkFound(t *testing.T, w *world, resp *oauth.RegistrationResponse) {
	t.Helper()
	c := w.find(t, resp.ClientID)
	if c == nil {
		t.Fatal("the client is not found")
	}
	for _, uri := range resp.RedirectURIs {
		if !c.Redirects(uri) {
			t.Errorf("%s is registered and refused", uri)
		}
	}
	for _, g := range []string{GrantCode, GrantRefresh, "client_credentials", ""} {
		if c.AllowsGrant(g) != slices.Contains(resp.GrantTypes, g) {
			t.Errorf("AllowsGrant(%q) = %v", g, c.AllowsGrant(g))
		}
	}
	if c.Name != resp.ClientName || c.URI != resp.ClientURI || c.Created.Unix() != resp.ClientIDIssuedAt ||
		string(c.AuthMethod) != resp.TokenEndpointAuthMethod || c.Confidential() == resp.ClientSecret.IsZero() || c.Static {
		t.Errorf("found %+v for %s", c, toJSON(t, resp))
	}
	if oauth.ParseScopes(c.Scope).HasAll(oauth.ParseScopes(resp.Scope)) != oauth.ParseScopes(resp.Scope).HasAll(oauth.ParseScopes(c.Scope)) {
		t.Errorf("scope %q for %q", c.Scope, resp.Scope)
	}
}

func TestSec_E05_SecretOnlyForThoseWhoAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for method, want := range map[string]string{
		``:                   `none`,
		`none`:               `none`,
		`client_secret_post`: `client_secret_post`, `client_secret_basic`: `client_secret_basic`,
	} {
		resp := w.register(t, `{"redirect_uris":["https://a.example/`+method+`"],"token_endpoint_auth_method":"`+method+`"}`)
		if resp.TokenEndpointAuthMethod != want {
			t.Errorf("%q became %q", method, resp.TokenEndpointAuthMethod)
		}
		secretful := want != "none"
		if resp.ClientSecret.IsZero() == secretful || (resp.ClientSecretExpiresAt != nil) != secretful {
			t.Errorf("%q: %s", method, toJSON(t, resp))
		}
	}
	for _, method := range []string{"private_key_jwt", "client_secret_jwt", "tls_client_auth", "NONE", "x"} {
		_, err := w.Register(t.Context(), rules, home, []byte(`{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"`+method+`"}`))
		wantNo(t, method, err, oauth.InvalidClientMetadata, 400)
	}
}

func TestSec_B03_MixedRedirectLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	resp := w.register(t, `{"redirect_uris":["javascript:alert(1)","https://good.example/cb","https://good\\@evil.example/","http://evil.example/cb",
		"http://localhost:5/cb","https://good.example/cb","https://good.example/cb?iss=e","data:text/html,x","cursor://x/y"]}`)
	want := []string{"https://good.example/cb", "http://localhost:5/cb", "cursor://x/y"}
	if !reflect.DeepEqual(resp.RedirectURIs, want) {
		t.Errorf("kept %q, want %q", resp.RedirectURIs, want)
	}
	c := w.find(t, resp.ClientID)
	for _, uri := range []string{"javascript:alert(1)", "http://evil.example/cb", "https://good.example/cb?iss=e", "https://good.example/"} {
		if c.Redirects(uri) {
			t.Errorf("may redirect to %s", uri)
		}
	}
	for _, body := range []string{
		`{"redirect_uris":["javascript:alert(1)"]}`, `{"redirect_uris":["http://evil.example/cb","data:x"]}`, `{"redirect_uris":[""]}`,
		`{"redirect_uris":[]}`, `{}`,
	} {
		_, err := w.Register(t.Context(), rules, home, []byte(body))
		wantNo(t, body, err, oauth.InvalidRedirectURI, 400)
	}
}

func TestSec_B14_RedirectHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limited := rules
	limited.RedirectHosts = []string{"claude.ai", "internal.example:8443"}
	for _, uri := range []string{
		"https://claude.ai.evil/cb", "https://claude.ai@evil.example/cb", "https://evil.example/claude.ai", "https://xclaude.ai/cb", "https://a.claude.ai/cb",
		"https://claude.ai:8443/cb", "https://internal.example/cb", "https://evil.example/?claude.ai", "https://claude.ai%2eevil.example/",
	} {
		_, err := w.Register(t.Context(), limited, home, []byte(`{"redirect_uris":["`+uri+`"]}`))
		wantNo(t, uri, err, oauth.InvalidRedirectURI, 400)
	}
	resp, err := w.Register(t.Context(), limited, home, []byte(`{"redirect_uris":["https://Claude.ai:443/cb","https://evil.example/cb","https://internal.example:8443/cb","http://localhost:1/cb","cursor://evil/cb","com.example.app:/cb","cursor://anysphere.cursor-mcp/oauth/callback"]}`))
	want := []string{"https://Claude.ai:443/cb", "https://internal.example:8443/cb", "http://localhost:1/cb", "cursor://anysphere.cursor-mcp/oauth/callback"}
	if err != nil || !reflect.DeepEqual(resp.RedirectURIs, want) {
		t.Fatalf("%+v, %v", resp, err)
	}
	// A list that is narrowed later applies to those who are registered already.
	limited.RedirectHosts = []string{"internal.example:8443"}
	c, err := w.Find(t.Context(), limited, resp.ClientID)
	if err != nil || c.Redirects("https://Claude.ai:443/cb") || !c.Redirects("https://internal.example:8443/cb") || !c.Redirects("http://localhost:9/cb") {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSec_E06_NothingBeyondTheRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tests := []struct{ members, scope, grants string }{
		{`"scope":"*"`, "mcp admin offline_access", "authorization_code refresh_token"},
		{`"scope":""`, "mcp admin offline_access", "authorization_code refresh_token"},
		{`"scope":"root mcp evil"`, "mcp", "authorization_code refresh_token"},
		{`"scope":"offline_access"`, "mcp admin offline_access", "authorization_code refresh_token"},
		{`"scope":"offline_access mcp mcp"`, "offline_access mcp", "authorization_code refresh_token"},
		{`"grant_types":["password","authorization_code","client_credentials","authorization_code"]`, "mcp admin offline_access", "authorization_code"},
		{`"grant_types":["refresh_token","authorization_code"],"response_types":["code","token"]`, "mcp admin offline_access", "refresh_token authorization_code"},
		{`"grant_types":[],"response_types":[]`, "mcp admin offline_access", "authorization_code refresh_token"},
	}
	for _, tt := range tests {
		resp := w.register(t, `{"redirect_uris":["https://a.example/"],`+tt.members+`}`)
		if resp.Scope != tt.scope || strings.Join(resp.GrantTypes, " ") != tt.grants || !reflect.DeepEqual(resp.ResponseTypes, []string{"code"}) {
			t.Errorf("%s: %s", tt.members, toJSON(t, resp))
		}
	}
	for _, members := range []string{
		`"grant_types":["implicit"]`, `"grant_types":["refresh_token"]`, `"grant_types":["client_credentials"]`, `"response_types":["token"]`,
	} {
		_, err := w.Register(t.Context(), rules, home, []byte(`{"redirect_uris":["https://a.example/"],`+members+`}`))
		wantNo(t, members, err, oauth.InvalidClientMetadata, 400)
	}
	bare := w.register(t, `{"redirect_uris":["https://a.example/"],"scope":"x"}`)
	if _, err := w.Register(t.Context(), Rules{}, home, []byte(`{"redirect_uris":["https://a.example/"],"scope":"x"}`)); err != nil || bare.Scope == "" {
		t.Errorf("%s, %v", toJSON(t, bare), err)
	}
}

// TestSec_E02_ResponseMembers: the answer is built from a closed set of members; what a
// client sends beside them is neither kept nor echoed.
func TestSec_E02_ResponseMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	resp := w.register(t, `{"redirect_uris":["https://a.example/"],"client_name":"N","client_uri":"https://a.example/","application_type":"web",
		"token_endpoint_auth_method":"client_secret_post","client_id":"mine","client_secret":"mine","logo_uri":"http://169.254.169.254/","jwks_uri":"http://169.254.169.254/",
		"policy_uri":"x","sector_identifier_uri":"http://169.254.169.254/","software_statement":"x","registration_access_token":"x","client_id_issued_at":1,"admin":true}`)
	var members map[string]any
	if err := json.Unmarshal([]byte(toJSON(t, resp)), &members); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"application_type", "client_id", "client_id_issued_at", "client_name", "client_secret", "client_secret_expires_at", "client_uri", "grant_types",
		"redirect_uris", "response_types", "scope", "token_endpoint_auth_method",
	}
	got := make([]string, 0, len(members))
	for m := range members {
		got = append(got, m)
	}
	slices.Sort(got)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("members %q", got)
	}
	if strings.Contains(toJSON(t, resp), "mine") || strings.Contains(toJSON(t, resp), "169.254") {
		t.Errorf("answered %s", toJSON(t, resp))
	}
}

func TestSec_E18_RegistrationOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.register(t, `{"redirect_uris":["https://a.example/"]}`)
	off := rules
	off.RegistrationOff = true
	_, err := w.Register(t.Context(), off, home, []byte(`{"redirect_uris":["https://a.example/"]}`))
	wantNo(t, "off", err, oauth.AccessDenied, 403)
	if c, err := w.Find(t.Context(), off, before.ClientID); err != nil || c.ID != before.ClientID {
		t.Errorf("who is registered: %v, %v", c, err)
	}
}

func TestStoreDownIsUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.fail.Store(true)
	for _, method := range []string{"none", "client_secret_post"} {
		w.store.reset()
		resp, err := w.Register(t.Context(), rules, home, []byte(`{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"`+method+`"}`))
		if err == nil || oauth.AsError(err) != nil || resp != nil {
			t.Errorf("%s: %v, %v", method, resp, err)
		}
		if n := w.store.creates.Load(); method == "none" && n != 0 {
			t.Error("who could not be looked up was created")
		}
	}
	if len(w.events.events) != 0 {
		t.Errorf("events %v", w.events.events)
	}
	w.store.fail.Store(false)
	w.rand = bytes.NewReader(nil)
	if _, err := w.Register(t.Context(), rules, home, []byte(`{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"client_secret_post"}`)); err == nil || oauth.AsError(err) != nil {
		t.Errorf("without randomness: %v", err)
	}
}
