// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/entra"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

const (
	officeIssuer   = "https://mcp.example.com/oauth"
	officeCallback = officeIssuer + "/callback"
	officeResource = "https://mcp.example.com/mcp"
)

// office is a company with its sign-in, a store, and two nodes that share it, all by one
// clock. Its policy verifies accounts every 15 minutes.
type office struct {
	clock  *clock.Fake
	policy *policy.Policy
	entra  *entratest.Emulator
	signIn provider.Provider
	a, b   *officeNode
}

// officeNode is what a site has on one node.
type officeNode struct {
	office *office
	grants *grants.Service
	guard  *guard.Guard
	target *guard.Target
	checks chan string // modes of the checks of accounts
}

var anna = entratest.DefaultUsers()[0]

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{clock: clock.NewFake(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))}
	o.entra = entratest.Run(t, entratest.Options{Now: o.clock.Now, RedirectURIs: []string{officeCallback}})
	o.entra.SignInAs(anna.Username)
	o.signIn = entra.New(entra.Config{
		Client: oidc.Client{ClientID: o.entra.ClientID(), ClientSecret: secret.New(o.entra.ClientSecret()), Scopes: oidc.DefaultScopes()},
		Tenant: o.entra.Tenant(), Authority: o.entra.URL(),
	}, provider.Env{Now: o.clock.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	o.policy = &policy.Policy{
		Issuer: officeIssuer, Lifetimes: policy.DefaultLifetimes(), Streams: policy.DefaultStreams(),
		Verify: provider.Verification{Every: 15 * time.Minute},
		Resources: []*policy.Resource{{
			URL: officeResource, Origin: "https://mcp.example.com", Host: "mcp.example.com", Path: "/mcp",
			Audience: officeResource, Scopes: oauth.Scopes{"mcp"},
		}},
	}
	o.policy.Lifetimes.Access = 24 * time.Hour // the client never refreshes
	s := memory.New(memory.Options{}, store.Env{Now: o.clock.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	o.a, o.b = o.node(t, s), o.node(t, s)
	return o
}

func (o *office) node(t *testing.T, s store.Store) *officeNode {
	t.Helper()
	master, err := seal.NewMaster(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	n := &officeNode{office: o, checks: make(chan string, 100)}
	v := vault.New(vault.Config{
		Store: s, Issuer: officeIssuer, Masters: []seal.Master{master}, Now: o.clock.Now, Rand: rand.Reader,
		NewSigningKey: func(now time.Time) (seal.SigningKey, error) { return tokens.NewSigningKey(rand.Reader, "ES256", now) },
	})
	n.grants = grants.New(grants.Config{
		Vault: v, Site: seal.SiteOf(officeIssuer), Now: o.clock.Now, Rand: rand.Reader, Events: n,
		Changed: func(id tokens.ID) { n.guard.Changed(grants.RecordID(id)) },
	})
	terms := func() *grants.Terms { return &grants.Terms{Policy: o.policy, Provider: o.signIn} }
	m := &minter{vault: v, now: o.clock.Now, rand: rand.Reader, log: slog.New(slog.DiscardHandler)}
	n.guard = guard.New(guard.Config{Grants: lookup{n.grants}, Verifier: verifier{n.grants, terms}, Mint: m.mint, Now: o.clock.Now})
	n.target = guard.NewTarget(o.policy, o.policy.Resources[0])
	n.target.Provider = o.signIn
	return n
}

// Emit implements event.Sink.
func (n *officeNode) Emit(_ context.Context, e event.Event) {
	if e.Kind == event.AccountVerified {
		n.checks <- e.Mode
	}
}

// wantCheck waits until a check of this node has ended.
func (n *officeNode) wantCheck(t *testing.T, mode string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case got := <-n.checks:
		if got != mode {
			t.Fatalf("the check said %s, want %s", got, mode)
		}
	case <-ctx.Done():
		t.Fatalf("no check")
	}
}

// signsIn returns an access token of Anna.
func (o *office) signsIn(t *testing.T) string {
	t.Helper()
	nonce := secret.New("nonce-of-this-sign-in")
	verifier := strings.Repeat("v", 43)
	u, err := o.signIn.AuthorizationURL(t.Context(), provider.AuthorizationRequest{
		State: "handle", Nonce: nonce, Challenge: pkce.Challenge(verifier), RedirectURI: officeCallback,
	})
	if err != nil {
		t.Fatal(err)
	}
	back, _ := entratest.Visit(t, u)
	session, err := o.signIn.Exchange(t.Context(), provider.ExchangeRequest{
		Code: secret.New(back.Get("code")), Verifier: secret.New(verifier), Nonce: nonce, RedirectURI: officeCallback,
	})
	if err != nil {
		t.Fatal(err)
	}
	request := grants.Request{Client: "client", RedirectURI: "https://client.example/cb", Challenge: pkce.Challenge(verifier), Resource: officeResource, Scope: "mcp"}
	code, err := o.a.grants.IssueCode(t.Context(), request, session, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	out, err := o.a.grants.Redeem(t.Context(), grants.Terms{Policy: o.policy, Provider: o.signIn}, grants.Redemption{
		Client: "client", Code: code.Reveal(), Verifier: verifier, Refreshable: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Access.Text().Reveal()
}

// asked is how often the provider was asked about somebody who has signed in.
func (o *office) asked() int {
	return len(slices.DeleteFunc(o.entra.Requests(entratest.Token), func(r entratest.Request) bool {
		return r.Form.Get("grant_type") != "refresh_token"
	}))
}

func (n *officeNode) request(token string, header ...string) guard.Request {
	r := httptest.NewRequest(http.MethodPost, officeResource, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return guard.Request{HTTP: r, Target: n.target, Began: n.office.clock.Now()}
}

// status is what a client sees; 200 is a request that passed.
func (n *officeNode) status(t *testing.T, token string) int {
	t.Helper()
	req := n.request(token)
	pass, err := n.guard.Admit(t.Context(), req)
	if err != nil {
		w := httptest.NewRecorder()
		n.guard.Refuse(w, req, err, "ref")
		if unknown := w.Code == http.StatusServiceUnavailable; unknown && (w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("503 with %v", w.Header())
		}
		return w.Code
	}
	pass.Close()
	return http.StatusOK
}

// opens opens a stream; ended tells whether it was cut, and the backend's request with it.
func (n *officeNode) opens(t *testing.T, token string) (ended func() bool) {
	t.Helper()
	req := n.request(token, "Accept", "text/event-stream")
	pass, err := n.guard.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pass.Close)
	w, r := pass.Wrap(httptest.NewRecorder(), req.HTTP, nil)
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	return func() bool { return pass.Cut() && r.Context().Err() != nil }
}

// roles are what the backend reads in the JWT.
func (n *officeNode) roles(t *testing.T, token string) []string {
	t.Helper()
	req := n.request(token)
	pass, err := n.guard.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer pass.Close()
	pass.Apply(req.HTTP)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(req.HTTP.Header.Get("Authorization"), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Roles []string }
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Roles
}
