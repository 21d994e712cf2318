// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mcpoauth/caddy-mcp-oauth/examples/verify-jwt/goidc"
	"github.com/mcpoauth/caddy-mcp-oauth/examples/verify-jwt/gojose"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/jwttest"
)

// jwtOf is the JWT that the backend gets for a token.
func (w *world) jwtOf(resource string, b *backend, token string) string {
	w.t.Helper()
	b.arrivals()
	w.works(resource, token)
	seen := b.arrivals()
	if len(seen) != 1 || seen[0].jwt() == "" {
		w.t.Fatalf("arrived as %v", seen)
	}
	return seen[0].jwt()
}

// The JWT of a real sign-in is accepted by what the documentation tells backends to write,
// with three libraries that share no code with what made it. What an attacker makes of
// it, and the JWT for another backend, are not.
func TestSec_H05_ThreeLibrariesVerifyTheJWT(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			threeLibraries(t, alg)
		})
	}
}

func threeLibraries(t *testing.T, alg string) {
	t.Helper()
	w := newWorld(t)
	other := w.origin + "/other"
	second := newBackend(t, w.issuer, other)
	w.start(globals("") + w.origin + " {\n" + block("resource "+w.resource+"\nresource "+other+"\ntokens {\nbackend_jwt_alg "+alg+"\n}\n"+w.entra()) +
		"reverse_proxy /mcp* " + w.backend.addr() + "\nreverse_proxy /other* " + second.addr() + "\n}\n")
	c := w.raw(w.issuer)
	good := w.jwtOf(w.resource, w.backend, c.signIn(w.resource).access)
	forgeries, err := jwttest.Outside(good, []byte(w.get(w.issuer+"/jwks").body), w.origin+"/nobody")
	if err != nil {
		t.Fatal(err)
	}
	forgeries = append(forgeries, jwttest.Forgery{Name: "the JWT for another backend", Token: w.jwtOf(other, second, c.signIn(other).access)})
	tokens := []string{good}
	for _, f := range forgeries {
		tokens = append(tokens, f.Token)
	}
	viaOIDC, viaJOSE := goidc.New(t.Context(), w.issuer, w.resource), gojose.New(w.issuer, w.resource)
	accepted := map[string][]bool{}
	for _, token := range tokens {
		_, err := viaOIDC.Verify(t.Context(), token)
		accepted["go-oidc"] = append(accepted["go-oidc"], err == nil)
		_, err = viaJOSE.Verify(t.Context(), token)
		accepted["go-jose"] = append(accepted["go-jose"], err == nil)
	}
	checkVerdicts(t, accepted, forgeries)
	t.Run("jose", func(t *testing.T) {
		const sample = "../../examples/verify-jwt/javascript/verify.mjs"
		checkVerdicts(t, map[string][]bool{"jose": jwttest.NodeVerdicts(t, sample, w.issuer, w.resource, tokens)}, forgeries)
	})
}

func checkVerdicts(t *testing.T, accepted map[string][]bool, forgeries []jwttest.Forgery) {
	t.Helper()
	for library, got := range accepted {
		if !got[0] {
			t.Errorf("%s refuses the JWT", library)
		}
		for i, f := range forgeries {
			if got[i+1] {
				t.Errorf("%s accepts: %s", library, f.Name)
			}
		}
	}
}

// accessToken is what RFC 9068 §2.2 requires and §2.2.3 wants.
type accessToken struct {
	jwt.Claims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	Email    string `json:"email"`
}

// The JWT is one of RFC 9068, lives for five minutes at most, and ends with the access
// token that it stands for.
func TestJWTFollowsRFC9068(t *testing.T) {
	t.Parallel()
	for words, most := range map[string]int64{
		"": 300, "tokens {\naccess 90s\n}\n": 90, "tokens {\nbackend_jwt 1m\n}\n": 60, "tokens {\nbackend_jwt_alg ES256\n}\n": 300,
	} {
		w := newWorld(t)
		w.start(w.caddyfile(words))
		c := w.raw(w.issuer)
		seen := map[string]bool{}
		for range 2 {
			token := c.signIn(w.resource).access
			text := w.jwtOf(w.resource, w.backend, token)
			claims := checkAccessToken(t, w, c, text)
			if got := strings.Contains(w.get(w.issuer+"/jwks").body, `"alg":"ES256"`); got != strings.Contains(words, "ES256") {
				t.Errorf("%q: ES256 is %t", words, got)
			}
			if life := claims.Expiry.Time().Unix() - claims.IssuedAt.Time().Unix(); life > most || life < most-30 {
				t.Errorf("%q: lives for %d s instead of %d", words, life, most)
			}
			if seen[claims.ID] {
				t.Error("two access tokens have one jti")
			}
			seen[claims.ID] = true
			if again := w.jwtOf(w.resource, w.backend, token); again != text {
				t.Error("a second request is signed anew")
			}
		}
	}
}

func checkAccessToken(t *testing.T, w *world, c *rawClient, text string) accessToken {
	t.Helper()
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(w.get(w.issuer+"/jwks").body), &set); err != nil {
		t.Fatal(err)
	}
	header := parsed.Headers[0]
	keys := set.Key(header.KeyID)
	if len(keys) != 1 || keys[0].Algorithm != header.Algorithm || keys[0].Use != "sig" || header.ExtraHeaders[jose.HeaderType] != "at+jwt" {
		t.Fatalf("header %+v, keys %+v", header, keys)
	}
	var claims accessToken
	if err := parsed.Claims(keys[0], &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Issuer != w.issuer || !slices.Equal(claims.Audience, []string{w.resource}) || claims.Subject != w.emulator.Tenant()+"."+anna ||
		claims.ClientID != c.id || claims.Scope != "mcp offline_access" && claims.Scope != "mcp" || claims.ID == "" || claims.NotBefore == nil ||
		claims.NotBefore.Time().After(claims.IssuedAt.Time()) || claims.IssuedAt.Time().Sub(claims.NotBefore.Time()).Seconds() > 60 {
		t.Errorf("claims %+v", claims)
	}
	return claims
}

// A JWT is for the backend: shown at the front door it opens nothing, at its own resource
// as little as at another, and it is nobody's refresh token or code.
func TestSec_H04_JWTOpensNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	c := w.raw(w.issuer)
	jwt := w.jwtOf(w.resource, w.backend, c.signIn(w.resource).access)
	w.refuses(w.resource, metadataOf(w.resource), jwt)
	if seen := w.backend.arrivals(); len(seen) > 0 {
		t.Errorf("%d requests reached the backend", len(seen))
	}
	if a := c.refresh(jwt); a.status != http.StatusBadRequest || a.member(t, "error") != "invalid_grant" {
		t.Errorf("as refresh token: %d %s", a.status, a.body)
	}
	if a := c.begin(w.resource).redeem(jwt); a.status != http.StatusBadRequest || a.member(t, "error") != "invalid_grant" {
		t.Errorf("as code: %d %s", a.status, a.body)
	}
}

// Nobody can ask the server what a token stands for: the backend has the JWT.
func TestSec_H10_NoIntrospection(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	token := w.raw(w.issuer).signIn(w.resource).access
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		a := w.send(method, w.issuer+"/introspect", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "token="+token)
		if a.status != http.StatusNotFound || contains(a.body, "active") {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
	if a := w.get(w.origin + "/.well-known/oauth-authorization-server/oauth"); a.status != http.StatusOK || contains(a.body, "introspection") {
		t.Errorf("the document names it: %s", a.body)
	}
}
