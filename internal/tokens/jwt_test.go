// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

var fullClaims = Claims{
	Issuer: "https://mcp.example.com/oauth", Audience: "https://mcp.example.com/mcp",
	Subject: "tenant.object", ClientID: "dcr_x", Scope: "mcp offline_access", ID: "jti-1",
	IssuedAt: testTime, NotBefore: testTime, Expires: testTime.Add(5 * time.Minute),
	Name: "Ann", PreferredUsername: "ann@example.com", ObjectID: "object", Tenant: "tenant",
	Roles: []string{"admin", "dev"}, Email: "ann@example.com",
}

func signingKey(t testing.TB, alg string) seal.SigningKey {
	t.Helper()
	k, err := NewSigningKey(rand.Reader, alg, testTime)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k seal.SigningKey, c Claims) string {
	t.Helper()
	signer, err := NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// keySet parses what JWKS publishes as a backend would.
func keySet(t testing.TB, keys ...seal.SigningKey) *jose.JSONWebKeySet {
	t.Helper()
	b, err := JWKS(keys)
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(b, &set); err != nil {
		t.Fatal(err)
	}
	return &set
}

func TestSignedJWTVerifiesWithJose(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{RS256, ES256} {
		key := signingKey(t, alg)
		token := sign(t, key, fullClaims)
		parsed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		header := parsed.Signatures[0].Protected
		if header.KeyID != key.KID || header.ExtraHeaders[jose.HeaderType] != "at+jwt" || header.Algorithm != alg {
			t.Errorf("%s: header %+v", alg, header)
		}
		set := keySet(t, signingKey(t, ES256), key)
		payload, err := parsed.Verify(set.Key(key.KID)[0])
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		var got map[string]any
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Fatal(err)
		}
		want := `{"aud":"https://mcp.example.com/mcp","client_id":"dcr_x","email":"ann@example.com",` +
			`"exp":1767323345,"iat":1767323045,"iss":"https://mcp.example.com/oauth","jti":"jti-1","name":"Ann",` +
			`"nbf":1767323045,"oid":"object","preferred_username":"ann@example.com","roles":["admin","dev"],` +
			`"scope":"mcp offline_access","sub":"tenant.object","tid":"tenant"}`
		var expected map[string]any
		if err := json.Unmarshal([]byte(want), &expected); err != nil {
			t.Fatal(err)
		}
		gotJSON, _ := json.Marshal(got)
		wantJSON, _ := json.Marshal(expected)
		if string(gotJSON) != string(wantJSON) {
			t.Errorf("%s: claims\n got %s\nwant %s", alg, gotJSON, wantJSON)
		}
	}
}

func TestSignedJWTVerifiesWithOIDC(t *testing.T) {
	t.Parallel()
	key := signingKey(t, RS256)
	public := keySet(t, key).Key(key.KID)[0].Key
	config := &oidc.Config{
		ClientID: fullClaims.Audience, SupportedSigningAlgs: []string{RS256},
		Now: func() time.Time { return testTime },
	}
	verifier := oidc.NewVerifier(fullClaims.Issuer, &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{public}}, config)
	token := sign(t, key, fullClaims)
	verified, err := verifier.Verify(context.Background(), token)
	if err != nil || verified.Subject != "tenant.object" || !verified.Expiry.Equal(fullClaims.Expires) {
		t.Fatalf("verified %+v, %v", verified, err)
	}
	other := *config
	other.ClientID = "https://mcp.example.com/other"
	verifier = oidc.NewVerifier(fullClaims.Issuer, &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{public}}, &other)
	if _, err := verifier.Verify(context.Background(), token); err == nil {
		t.Error("a backend with another audience accepts the token")
	}
}

func TestAbsentClaimsAreAbsent(t *testing.T) {
	t.Parallel()
	c := fullClaims
	c.Name, c.PreferredUsername, c.ObjectID, c.Tenant, c.Roles, c.Email = "", "", "", "", nil, ""
	token := sign(t, signingKey(t, ES256), c)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(payload, &members); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(members))
	want := []string{"aud", "client_id", "exp", "iat", "iss", "jti", "nbf", "scope", "sub"}
	if !slices.Equal(got, want) {
		t.Errorf("claims %v, want %v", got, want)
	}
}

func TestJWKSIsPublic(t *testing.T) {
	t.Parallel()
	retired, next, active := signingKey(t, ES256), signingKey(t, RS256), signingKey(t, RS256)
	retired.State, next.State, active.State = seal.SigningRetired, seal.SigningNext, seal.SigningActive
	b, err := JWKS([]seal.SigningKey{retired, next, active})
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		t.Fatal(err)
	}
	rsaMembers := []string{"alg", "e", "kid", "kty", "n", "use"}
	want := []struct {
		kid     string
		members []string
	}{
		{active.KID, rsaMembers},
		{next.KID, rsaMembers},
		{retired.KID, []string{"alg", "crv", "kid", "kty", "use", "x", "y"}},
	}
	for i, k := range set.Keys {
		if k["kid"] != want[i].kid || !slices.Equal(slices.Sorted(maps.Keys(k)), want[i].members) || k["use"] != "sig" {
			t.Errorf("key %d: %v", i, k)
		}
	}
	for _, k := range keySet(t, retired, next, active).Keys {
		if !k.IsPublic() || !k.Valid() {
			t.Errorf("key %s: public %t, valid %t", k.KeyID, k.IsPublic(), k.Valid())
		}
	}
	if b, err := JWKS(nil); err != nil || string(b) != `{"keys":[]}` {
		t.Errorf("no keys: %s, %v", b, err)
	}
}

func TestKIDIsTheThumbprint(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{RS256, ES256} {
		key := signingKey(t, alg)
		published := keySet(t, key).Keys[0]
		sum, err := published.Thumbprint(crypto.SHA256)
		if err != nil || key.KID != base64.RawURLEncoding.EncodeToString(sum) {
			t.Errorf("%s: kid %s, thumbprint %x, %v", alg, key.KID, sum, err)
		}
		if key.State != seal.SigningNext || !key.Created.Equal(testTime) {
			t.Errorf("%s: new key %v", alg, key)
		}
	}
}

// The key of RFC 7638 §3.1 and its thumbprint.
func TestVectorThumbprint(t *testing.T) {
	t.Parallel()
	k := jwk{KeyType: "RSA", E: "AQAB", N: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAt" +
		"VT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4Q" +
		"yQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI" +
		"4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}
	if got := k.thumbprint(); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("thumbprint %s", got)
	}
}

func TestSec_H05_KeyFitsItsAlgorithm(t *testing.T) {
	t.Parallel()
	rsaKey, ecKey := signingKey(t, RS256), signingKey(t, ES256)
	for what, k := range map[string]seal.SigningKey{
		"RSA as ES256":  seal.NewSigningKey("a", ES256, rsaKey.PKCS8(), testTime),
		"EC as RS256":   seal.NewSigningKey("a", RS256, ecKey.PKCS8(), testTime),
		"none":          seal.NewSigningKey("a", "none", rsaKey.PKCS8(), testTime),
		"HS256":         seal.NewSigningKey("a", "HS256", rsaKey.PKCS8(), testTime),
		"no key":        seal.NewSigningKey("a", RS256, []byte("no key"), testTime),
		"the zero one":  {},
		"no algorithm":  seal.NewSigningKey("a", "", rsaKey.PKCS8(), testTime),
		"other RSA alg": seal.NewSigningKey("a", "PS256", rsaKey.PKCS8(), testTime),
	} {
		if _, err := NewSigner(k); err == nil {
			t.Errorf("%s: a signer", what)
		}
		if _, err := JWKS([]seal.SigningKey{k}); err == nil {
			t.Errorf("%s: published", what)
		}
	}
	if _, err := NewSigningKey(rand.Reader, "HS256", testTime); err == nil {
		t.Error("made an HS256 key")
	}
}

func BenchmarkSign(b *testing.B) {
	for _, alg := range []string{RS256, ES256} {
		b.Run(alg, func(b *testing.B) {
			signer, err := NewSigner(signingKey(b, alg))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signer.Sign(fullClaims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
