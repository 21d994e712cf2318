// SPDX-License-Identifier: Apache-2.0

package jwttest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

// Issuer signs as mcp_oauth signs and publishes its key as mcp_oauth does.
type Issuer struct {
	// URL is the issuer identifier; the keys are at URL + "/jwks".
	URL string
	// KeySet is what is published.
	KeySet []byte

	signer *tokens.Signer
	key    crypto.Signer
	now    time.Time
}

// NewIssuer returns an issuer that publishes its key for an algorithm until the test ends,
// and beside it one for the other algorithm, as during a change from one to the other.
func NewIssuer(t testing.TB, alg string) *Issuer {
	t.Helper()
	now := clock.System()
	keys := map[string]seal.SigningKey{}
	for _, a := range []string{tokens.RS256, tokens.ES256} {
		k, err := tokens.NewSigningKey(rand.Reader, a, now)
		if err != nil {
			t.Fatal(err)
		}
		keys[a] = k
	}
	key := keys[alg]
	signer, err := tokens.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	keySet, err := tokens.JWKS([]seal.SigningKey{keys[tokens.RS256], keys[tokens.ES256]})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key.PKCS8())
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{KeySet: keySet, signer: signer, key: parsed.(crypto.Signer), now: now}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/jwks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keySet)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL + "/oauth"
	return i
}

// Name is the name of a person in a genuine JWT, and a role: whoever does not escape it as
// JSON, or not as UTF-8, changes it.
const Name = "Ann \"𝒜\u202e👩‍🚀\",\"sub\":\"root\"\r\nX-Role: admin\x00\\"

// Genuine is a JWT for an audience, made by the code that makes all of them.
func (i *Issuer) Genuine(t testing.TB, audience string) string {
	t.Helper()
	token, err := i.signer.Sign(tokens.Claims{
		Issuer: i.URL, Audience: audience, Subject: "tenant.object", ClientID: "dcr_1", Scope: "mcp", ID: rand.Text(),
		IssuedAt: i.now, NotBefore: i.now.Add(-5 * time.Second), Expires: i.now.Add(5 * time.Minute),
		Name: Name, Roles: []string{Name, "dev"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Inside returns what only the holder of the key can make: signed as it should be, and
// still no access token for this backend at this moment.
func (i *Issuer) Inside(genuine string) ([]Forgery, error) {
	header, claims, _, err := split(genuine)
	if err != nil {
		return nil, err
	}
	at := func(d time.Duration) int64 { return i.now.Add(d).Unix() }
	changed := func(changes object) string { return sign(header, with(claims, changes), i.key) }
	typed := func(typ any) string { return sign(with(header, object{"typ": typ}), claims, i.key) }
	return []Forgery{
		{"another issuer", changed(object{"iss": "https://evil.example/oauth"})},
		{"another backend's audience", changed(object{"aud": "https://mcp.example.com/other"})},
		{"no audience", changed(object{"aud": nil})},
		{"expired", changed(object{"iat": at(-time.Hour), "nbf": at(-time.Hour), "exp": at(-30 * time.Minute)})},
		{"without an end", changed(object{"exp": nil})},
		{"nbf in the future", changed(object{"nbf": at(time.Hour), "exp": at(2 * time.Hour)})},
		{"no client_id", changed(object{"client_id": nil})},
		{"ID token, typ JWT", typed("JWT")},
		{"no typ", typed(nil)},
		{"critical extension that nobody knows", sign(with(header, object{"crit": []string{"x"}, "x": 1}), claims, i.key)},
	}, nil
}
