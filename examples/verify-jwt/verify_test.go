// SPDX-License-Identifier: Apache-2.0

package verifyjwt_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/examples/verify-jwt/goidc"
	"github.com/mcpoauth/caddy-mcp-oauth/examples/verify-jwt/gojose"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/jwttest"
)

const audience = "https://mcp.example.com/mcp"

// verdicts tells of each token whether a verifier accepts it.
type verdicts func(t *testing.T, issuer, audience string, tokens []string) []bool

var samples = map[string]verdicts{
	"go-oidc": func(t *testing.T, issuer, audience string, tokens []string) []bool {
		v := goidc.New(t.Context(), issuer, audience)
		return each(t, tokens, func(ctx context.Context, token string) error {
			_, err := v.Verify(ctx, token)
			return err
		})
	},
	"go-jose": func(t *testing.T, issuer, audience string, tokens []string) []bool {
		v := gojose.New(issuer, audience)
		return each(t, tokens, func(ctx context.Context, token string) error {
			_, err := v.Verify(ctx, token)
			return err
		})
	},
	"jose": func(t *testing.T, issuer, audience string, tokens []string) []bool {
		return jwttest.NodeVerdicts(t, "javascript/verify.mjs", issuer, audience, tokens)
	},
}

func each(t *testing.T, tokens []string, verify func(context.Context, string) error) []bool {
	t.Helper()
	out := make([]bool, len(tokens))
	for i, token := range tokens {
		err := verify(t.Context(), token)
		t.Logf("token %d: %v", i, err)
		out[i] = err == nil
	}
	return out
}

// What the documentation tells backends to write accepts the JWT, and refuses each forgery.
func TestSec_H05_SamplesRefuseForgeries(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			refuseForgeries(t, alg)
		})
	}
}

func refuseForgeries(t *testing.T, alg string) {
	t.Helper()
	issuer := jwttest.NewIssuer(t, alg)
	var fetched atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	t.Cleanup(evil.Close)
	genuine := issuer.Genuine(t, audience)
	outside, err := jwttest.Outside(genuine, issuer.KeySet, evil.URL)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := issuer.Inside(genuine)
	if err != nil {
		t.Fatal(err)
	}
	forgeries := slices.Concat(outside, inside)
	tokens := []string{genuine}
	for _, f := range forgeries {
		tokens = append(tokens, f.Token)
	}
	tokens = append(tokens, genuine) // no forgery has spoilt anything
	for name, accepts := range samples {
		t.Run(name, func(t *testing.T) {
			got := accepts(t, issuer.URL, audience, tokens)
			if !got[0] || !got[len(got)-1] {
				t.Errorf("the genuine JWT is refused: %v", got)
			}
			for i, f := range forgeries {
				if got[i+1] {
					t.Errorf("accepts: %s", f.Name)
				}
			}
		})
	}
	if n := fetched.Load(); n > 0 {
		t.Errorf("the forger's key set was fetched %d times", n)
	}
	checkTable(t, forgeries)
}

// A claim arrives as the provider stated it, whatever is in it.
func TestSec_H09_SamplesReadClaimsAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256"} {
		issuer := jwttest.NewIssuer(t, alg)
		token := issuer.Genuine(t, audience)
		check := func(library, name string, roles []string, err error) {
			t.Helper()
			if err != nil || name != jwttest.Name || !slices.Equal(roles, []string{jwttest.Name, "dev"}) {
				t.Errorf("%s, %s: name %q, roles %q, %v", alg, library, name, roles, err)
			}
		}
		if one, err := goidc.New(t.Context(), issuer.URL, audience).Verify(t.Context(), token); err != nil {
			check("go-oidc", "", nil, err)
		} else {
			check("go-oidc", one.Name, one.Roles, nil)
		}
		if one, err := gojose.New(issuer.URL, audience).Verify(t.Context(), token); err != nil {
			check("go-jose", "", nil, err)
		} else {
			check("go-jose", one.Name, one.Roles, nil)
		}
		t.Run("jose "+alg, func(t *testing.T) {
			one := jwttest.NodeClaims(t, "javascript/verify.mjs", issuer.URL, audience, []string{token})[0]
			if one.Code != "" {
				t.Fatal(one.Code)
			}
			check("jose", one.Name, one.Roles, nil)
		})
	}
}

// checkTable makes sure that the documentation lists what is refused, no more and no less.
func checkTable(t *testing.T, forgeries []jwttest.Forgery) {
	t.Helper()
	text, err := os.ReadFile("../../docs/verify-jwt.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed, want []string
	_, table, _ := strings.Cut(string(text), "| Forgery |")
	for line := range strings.Lines(table) {
		if cell, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(cell, "`")
			listed = append(listed, name)
		}
	}
	for _, f := range forgeries {
		want = append(want, f.Name)
	}
	if !slices.Equal(listed, want) {
		t.Errorf("docs/verify-jwt.md lists\n%q\nrefused are\n%q", listed, want)
	}
}
