// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// staticSecret is that of a client that is configured.
const staticSecret = "a-static-secret-0123456789"

// planted is what a request is made to leave in the logs, for the proof that the search
// looks where logs are.
const planted = "Planted-in-a-header+of/a=request"

// No secret is written anywhere, at the most talkative level and with access logs, on the
// good path and on bad ones.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), &secrets{}
	w.transport = tap{s, w.transport}
	w.emulator.stop()
	w.emulator.wrap = s.serve
	w.emulator.start(t)
	w.backend = record(t, s.serve(mcptest.NewServer(mcptest.ServerConfig{
		Issuer: w.issuer, Audience: w.resource, JWKSURL: w.issuer + "/jwks", Client: &http.Client{},
	})))
	access := filepath.Join(t.TempDir(), "access.log")
	config := globals("debug\nlog {\nlevel DEBUG\n}\n") +
		strings.Replace(w.site("client static-client {\nsecret {env.STATIC_SECRET}\nredirect_uri "+mcptest.RedirectURI+"\n}\n"), "reverse_proxy",
			"log {\nlevel DEBUG\noutput file "+access+"\n}\nlog second {\noutput stderr\n}\nreverse_proxy", 1)
	config = strings.Replace(config, "resource "+w.resource+"\n", "resource "+w.resource+" {\nintrospect static-client\n}\n", 1)
	// At this level Caddy itself logs its configuration as it is written.
	config = strings.ReplaceAll(config, w.emulator.ClientSecret(), "{env.ENTRA_CLIENT_SECRET}")
	w.home.Env = []string{"ENTRA_CLIENT_SECRET=" + w.emulator.ClientSecret(), "STATIC_SECRET=" + staticSecret}
	w.start(config)
	s.add("static secret", staticSecret)
	s.add("upstream secret", w.emulator.ClientSecret())
	goodPaths(t, w)
	badPaths(t, w)
	w.reload(config + "http://" + caddyrun.FreeAddr(t) + " {\nrespond x\n}\n")
	goodPaths(t, w)
	w.caddy.Stop(t)
	key := masterKey(t, w)
	s.add("master key", string(key))
	s.add("master key", base64.StdEncoding.EncodeToString(key))
	checkOutput(t, w, s, access)
}

func masterKey(t *testing.T, w *world) []byte {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(w.home.DataDir(), "mcp_oauth", "store.db.key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// goodPaths signs in with a client that is configured, and with those that register with
// and without a secret.
func goodPaths(t *testing.T, w *world) {
	t.Helper()
	useTools(t, w, func(c *mcptest.ClientConfig) {
		c.Static = &oauthex.ClientCredentials{
			ClientID: "static-client", ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: staticSecret},
		}
	})
	for _, method := range []string{"none", "client_secret_post", "client_secret_basic"} {
		registration := mcptest.Registration("Client "+method, mcptest.RedirectURI)
		registration.TokenEndpointAuthMethod = method
		useTools(t, w, func(c *mcptest.ClientConfig) { c.Registration = registration })
	}
}

func useTools(t *testing.T, w *world, change func(*mcptest.ClientConfig)) {
	t.Helper()
	client := w.client(change)
	session := w.connect(client)
	w.whoami(session)
	if _, err := client.Tokens.Refresh(); err != nil {
		t.Fatal(err)
	}
	w.whoami(session)
	session.Close()
}

// badPaths makes every kind of refusal that somebody's secret may take part in.
func badPaths(t *testing.T, w *world) {
	t.Helper()
	ctx, c := w.ctx, w.raw(w.issuer)
	a := c.begin(w.resource)
	code := a.code()
	verifier := a.verifier
	got := c.tokensOf(a.redeem(code))
	a.redeem(code) // again
	b := c.begin(w.resource)
	b.redeem(b.code()[:60])
	wrong := b.code()
	b.verifier = verifier
	b.redeem(wrong)
	c.refresh(got.refresh)
	c.refresh(got.refresh[:len(got.refresh)-1] + "x")
	live := c.signIn(w.resource)
	for _, token := range []string{got.access, got.refresh, got.refresh[:60], code, live.access, live.refresh} {
		c.revokeToken(token)
		w.form(w.issuer+"/introspect", url.Values{"client_id": {"static-client"}, "client_secret": {staticSecret}, "token": {token}})
	}
	w.form(w.issuer+"/revoke?token="+got.access, url.Values{"client_id": {c.id}, "token": {got.access, got.refresh}})
	w.initialize(w.resource, got.access)
	w.initialize(w.resource, got.access[:len(got.access)-1]+"x")
	w.get(w.resource + "?access_token=" + got.access)
	w.send(http.MethodGet, w.origin+"/elsewhere", http.Header{"User-Agent": {"x" + planted + "x"}}, "")
	w.send(http.MethodPost, w.issuer+"/token?code="+code, http.Header{
		"Content-Type":  {"application/x-www-form-urlencoded"},
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("static-client:"+staticSecret+"x"))},
	}, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}}.Encode())
	w.send(http.MethodPost, w.issuer+"/token", http.Header{"Content-Type": {"application/json"}}, `{"code":"`+code+`"}`)

	// The provider's answer in another browser, twice, with a broken handle; a person who
	// cancels; a provider that fails.
	browser := w.browser()
	browser.Stop = func(u *url.URL) bool { return u.Path == "/oauth/callback" }
	page := press(t, ctx, browser, open(t, ctx, browser, c.begin(w.resource).url()), mcptest.Continue)
	page = press(t, ctx, browser, page, mcptest.Button{})
	open(t, ctx, w.browser(), page.URL.String())
	open(t, ctx, w.browser(), page.URL.String())
	open(t, ctx, w.browser(), strings.Replace(page.URL.String(), "state=", "state=x", 1))
	if _, err := mcptest.SignIn(ctx, w.browser(), c.begin(w.resource).url(), mcptest.Decline); err == nil {
		t.Error("declining gave a code")
	}
	w.emulator.Break(entratest.Token, entratest.Answer(http.StatusBadRequest, "invalid_grant", 70000))
	failing := w.browser()
	page = press(t, ctx, failing, open(t, ctx, failing, c.begin(w.resource).url()), mcptest.Continue)
	if page = press(t, ctx, failing, page, mcptest.Button{}); page.Status < http.StatusBadRequest {
		t.Errorf("a failing provider: %d %s", page.Status, page.Text())
	}
	w.emulator.Mend(entratest.Token)
}

func checkOutput(t *testing.T, w *world, s *secrets, access string) {
	t.Helper()
	logged, err := os.ReadFile(access)
	if err != nil || !contains(string(logged), `"handled request"`, `"uri":"/mcp`, "/elsewhere", `"mcp_client_id"`) {
		t.Fatalf("access log: %v %.2000s", err, logged)
	}
	output := w.caddy.Output()
	if !contains(output, `"level":"debug"`, "upstream roundtrip", "request refused", "handled request") {
		t.Errorf("the output is not that of a talkative server:\n%.3000s", output)
	}
	seen := s.names() // the form key is the value of a cookie
	for _, name := range []string{
		"code", "state", "token", "cookie", "code_verifier", "access_token", "refresh_token", "client_secret", "id_token", "nonce",
		"authorization bearer", "JWT", "authorization basic", "password", "master key", "static secret", "upstream secret",
	} {
		if seen[name] == 0 {
			t.Errorf("no %s was collected, only %v", name, seen)
		}
	}
	canary := &secrets{}
	canary.add("canary", planted)
	for where, text := range map[string]string{"output": output, "access log": string(logged)} {
		if len(canary.leaks(text)) == 0 {
			t.Errorf("the search does not find in %s what is there", where)
		}
		for _, leak := range s.leaks(text) {
			t.Errorf("%s has %s", where, leak)
		}
	}
}
