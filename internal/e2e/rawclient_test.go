// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
)

// rawClient speaks OAuth step by step, for tests that stop, repeat or mix steps.
type rawClient struct {
	*world
	issuer   string
	id       string
	redirect string
}

// attempt is one authorization request.
type attempt struct {
	client   *rawClient
	resource string
	verifier string
	state    string
}

// tokens is what a client holds.
type tokens struct{ access, refresh string }

// registration is the body of a public client that can refresh.
const registration = `{"client_name":"Raw client","redirect_uris":["` + mcptest.RedirectURI +
	`"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}`

// raw registers a client at an issuer.
func (w *world) raw(issuer string) *rawClient {
	w.t.Helper()
	return &rawClient{world: w, issuer: issuer, id: w.register(issuer, registration), redirect: mcptest.RedirectURI}
}

// register returns the client_id that a registration gets.
func (w *world) register(issuer, body string) string {
	w.t.Helper()
	a := w.send(http.MethodPost, issuer+"/register", http.Header{"Content-Type": {"application/json"}}, body)
	if a.status != http.StatusCreated {
		w.t.Fatalf("register: %d %s\n%s", a.status, a.body, w.caddy.Output())
	}
	return a.member(w.t, "client_id")
}

// begin makes an authorization request for a resource.
func (c *rawClient) begin(resource string) *attempt {
	c.t.Helper()
	verifier, err := pkce.NewVerifier(rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	return &attempt{client: c, resource: resource, verifier: verifier, state: rand.Text()}
}

// url is where the browser is sent.
func (a *attempt) url() string {
	return a.client.issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {a.client.id}, "redirect_uri": {a.client.redirect},
		"state": {a.state}, "resource": {a.resource},
		"code_challenge": {pkce.Challenge(a.verifier)}, "code_challenge_method": {"S256"},
	}.Encode()
}

// code walks a new browser through the sign-in.
func (a *attempt) code() string {
	t := a.client.t
	t.Helper()
	result, err := mcptest.SignIn(a.client.ctx, a.client.browser(), a.url(), mcptest.Agree)
	if err != nil {
		t.Fatalf("signing in: %v\n%s", err, a.client.caddy.Output())
	}
	if result.State != a.state || result.Iss != a.client.issuer {
		t.Errorf("the answer has state %q and iss %q", result.State, result.Iss)
	}
	return result.Code
}

// redeem trades a code.
func (a *attempt) redeem(code string) *answer {
	a.client.t.Helper()
	return a.client.form(a.client.issuer+"/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {a.client.id}, "code": {code},
		"redirect_uri": {a.client.redirect}, "code_verifier": {a.verifier}, "resource": {a.resource},
	})
}

// refresh trades a refresh token.
func (c *rawClient) refresh(token string) *answer {
	c.t.Helper()
	return c.form(c.issuer+"/token", url.Values{
		"grant_type": {"refresh_token"}, "client_id": {c.id}, "refresh_token": {token},
	})
}

// signIn gets tokens for a resource, from the first step to the last.
func (c *rawClient) signIn(resource string) tokens {
	c.t.Helper()
	a := c.begin(resource)
	return c.tokensOf(a.redeem(a.code()))
}

// tokensOf reads a token response that has to be one.
func (c *rawClient) tokensOf(a *answer) tokens {
	c.t.Helper()
	if a.status != http.StatusOK {
		c.t.Fatalf("token: %d %s\n%s", a.status, a.body, c.caddy.Output())
	}
	return tokens{access: a.member(c.t, "access_token"), refresh: a.member(c.t, "refresh_token")}
}

func (w *world) browser() *mcptest.Browser { return &mcptest.Browser{Transport: w.transport} }

// works makes sure that a token opens a resource.
func (w *world) works(resource, token string) {
	w.t.Helper()
	if a := w.initialize(resource, token); a.status != http.StatusOK {
		w.t.Errorf("%s with a good token: %d %s\n%s", resource, a.status, a.body, w.caddy.Output())
	}
}

// initialize sends the first message of MCP.
func (w *world) initialize(resource, token string) *answer {
	w.t.Helper()
	h := http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"Authorization": {"Bearer " + token},
	}
	const message = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`
	return w.send(http.MethodPost, resource, h, message)
}

// refuses makes sure that a resource answers a token with 401 and its own challenge.
func (w *world) refuses(resource, metadata, token string) {
	w.t.Helper()
	a := w.initialize(resource, token)
	want := `, error="invalid_token"`
	if token == "" {
		want = ""
	}
	challenge := a.header.Values("WWW-Authenticate")
	if a.status != http.StatusUnauthorized || len(challenge) != 1 ||
		!contains(challenge[0], "Bearer ", want, `resource_metadata="`+metadata+`"`) {
		w.t.Errorf("%s: %d %q", resource, a.status, challenge)
	}
}

// press presses a button and fails the test where that is not possible.
func press(t testing.TB, ctx context.Context, b *mcptest.Browser, p *mcptest.Page, button mcptest.Button) *mcptest.Page {
	t.Helper()
	next, err := b.Submit(ctx, p, button, nil)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// open opens an address and fails the test where that is not possible.
func open(t testing.TB, ctx context.Context, b *mcptest.Browser, address string) *mcptest.Page {
	t.Helper()
	p, err := b.Open(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
