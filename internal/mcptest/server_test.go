// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

const (
	issuer   = "https://mcp.example.com/oauth"
	audience = "https://mcp.example.com/mcp"
)

// The SDK compares with the system's clock too, so the demo's must agree with it.
var now = clock.System().Truncate(time.Second)

// demo is a demo server with an issuer of its own.
type demo struct {
	*httptest.Server
	key     *ecdsa.PrivateKey
	fetches atomic.Int32
}

func newDemo(t *testing.T) *demo {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{key: key}
	jwks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		d.fetches.Add(1)
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"},
		}})
	}))
	t.Cleanup(jwks.Close)
	d.Server = httptest.NewServer(NewServer(ServerConfig{
		Issuer: issuer, Audience: audience, JWKSURL: jwks.URL, Client: jwks.Client(),
		Now:  func() time.Time { return now },
		Step: func(ctx context.Context) error { return ctx.Err() },
	}))
	t.Cleanup(d.Close)
	return d
}

// token signs claims that are good but for what change does.
func (d *demo) token(t *testing.T, change func(*Claims, map[jose.HeaderKey]any)) string {
	t.Helper()
	header := map[jose.HeaderKey]any{jose.HeaderType: "at+jwt", "kid": "k1"}
	claims := &Claims{
		Claims: jwt.Claims{
			Issuer: issuer, Audience: jwt.Audience{audience}, Subject: "t.o", ID: "j",
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(5 * time.Minute)),
		},
		ClientID: "dcr_x", Scope: "mcp", Name: "Ada",
	}
	if change != nil {
		change(claims, header)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: d.key}, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func TestTools(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	progress := make(chan float64, 3)
	client, err := NewClient(ClientConfig{
		Endpoint: d.URL,
		HTTP:     &http.Client{Transport: bearer(d.token(t, nil))},
		Progress: func(done, _ float64) { progress <- done },
	})
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()

	who, err := Call[Identity](t.Context(), session, "whoami", nil)
	if err != nil {
		t.Fatal(err)
	}
	if who.Subject != "t.o" || who.ClientID != "dcr_x" || who.Scope != "mcp" || who.Name != "Ada" ||
		who.ExpiresIn != 300 || !slices.Contains(who.Headers, "Authorization") {
		t.Errorf("whoami: %+v", who)
	}
	if echoed, err := Call[Text](t.Context(), session, "echo", Text{Text: "grüße"}); err != nil || echoed.Text != "grüße" {
		t.Errorf("echo: %v %v", echoed, err)
	}
	if _, err := Call[Count](t.Context(), session, "count", Count{Steps: 3}); err != nil {
		t.Errorf("count: %v", err)
	}
	for want := 1.0; want <= 3; want++ {
		if got := <-progress; got != want {
			t.Errorf("progress %v, not %v", got, want)
		}
	}
	if _, err := Call[Count](t.Context(), session, "count", Count{Steps: 1001}); err == nil {
		t.Error("count accepted 1001 steps")
	}
	if n := d.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestServerRefusesBadTokens(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	for name, change := range map[string]func(*Claims, map[jose.HeaderKey]any){
		"other issuer":   func(c *Claims, _ map[jose.HeaderKey]any) { c.Issuer += "x" },
		"other audience": func(c *Claims, _ map[jose.HeaderKey]any) { c.Audience = jwt.Audience{"https://b"} },
		"expired":        func(c *Claims, _ map[jose.HeaderKey]any) { c.Expiry = jwt.NewNumericDate(now.Add(-time.Second)) },
		"no subject":     func(c *Claims, _ map[jose.HeaderKey]any) { c.Subject = "" },
		"no client":      func(c *Claims, _ map[jose.HeaderKey]any) { c.ClientID = "" },
		"no expiry":      func(c *Claims, _ map[jose.HeaderKey]any) { c.Expiry = nil },
		"ID token":       func(_ *Claims, h map[jose.HeaderKey]any) { h[jose.HeaderType] = "JWT" },
		"unknown key":    func(_ *Claims, h map[jose.HeaderKey]any) { h["kid"] = "k2" },
	} {
		if status := post(t, d.URL, "Bearer "+d.token(t, change)); status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, status)
		}
	}
	for _, header := range []string{"", "Bearer x", "Basic " + d.token(t, nil)} {
		if status := post(t, d.URL, header); status != http.StatusUnauthorized {
			t.Errorf("%.10q: status %d", header, status)
		}
	}
}

func post(t *testing.T, url, authorization string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", authorization)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
