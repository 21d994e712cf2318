// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

// rfcRSA is the key of RFC 7515 appendix A.2.1, rfcEC that of A.3.1, rfcEd that of
// RFC 8037 appendix A.2.
const (
	rfcRSA = `{"kty":"RSA","kid":"rsa","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`
	rfcEC  = `{"kty":"EC","kid":"ec","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	rfcEd  = `{"kty":"OKP","kid":"ed","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
)

func parse(t *testing.T, keys ...string) (keySet, error) {
	t.Helper()
	var s keySet
	err := json.Unmarshal([]byte(`{"keys":[`+strings.Join(keys, ",")+`]}`), &s)
	return s, err
}

func TestKeySet(t *testing.T) {
	t.Parallel()
	s, err := parse(t, rfcRSA, rfcEC, rfcEd)
	if err != nil || len(s) != 3 {
		t.Fatalf("%d keys, %v", len(s), err)
	}
	if k, ok := s[0].public.(*rsa.PublicKey); !ok || k.N.BitLen() != 2048 || k.E != 65537 {
		t.Errorf("RSA key is %v", s[0].public)
	}
	if k, ok := s[1].public.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		t.Errorf("EC key is %v", s[1].public)
	}
	if k, ok := s[2].public.(ed25519.PublicKey); !ok || len(k) != 32 {
		t.Errorf("Ed25519 key is %v", s[2].public)
	}
}

// TestIgnoresUnparseableKeyInJwks is named as in the OpenID conformance suite.
func TestIgnoresUnparseableKeyInJwks(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak := `{"kty":"RSA","n":"` + base64.RawURLEncoding.EncodeToString(small.N.Bytes()) + `","e":"AQAB"}`
	even := strings.Replace(rfcRSA, "AQAB", base64.RawURLEncoding.EncodeToString(big.NewInt(65536).Bytes()), 1)
	for name, bad := range map[string]string{
		"not an object": `7`, "no kty": `{}`, "unknown kty": `{"kty":"AKP"}`, "symmetric": `{"kty":"oct","k":"AAAA"}`,
		"for encryption": strings.Replace(rfcRSA, `"kty"`, `"use":"enc","kty"`, 1),
		"RSA too small":  weak, "RSA even exponent": even,
		"RSA exponent too long": strings.Replace(rfcRSA, "AQAB", "AQABAQAB", 1),
		"RSA not base64":        strings.Replace(rfcRSA, "AQAB", "+++", 1),
		"EC curve":              strings.Replace(rfcEC, "P-256", "secp256k1", 1),
		"EC point not on curve": strings.Replace(rfcEC, `"f83`, `"g83`, 1),
		"EC coordinate short":   strings.Replace(rfcEC, `"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"`, `"x":"AAAA"`, 1),
		"Ed448":                 strings.Replace(rfcEd, "Ed25519", "Ed448", 1),
		"kid is a number":       `{"kty":"RSA","kid":7}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := parse(t, bad, rfcEC)
			if err != nil || len(s) != 1 || s[0].id != "ec" {
				t.Errorf("got %v, %v", s, err)
			}
			if _, err := parse(t, bad); err == nil {
				t.Error("a set without a usable key was accepted")
			}
		})
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	s := keySet{{id: "a", alg: "RS256"}, {id: "b"}, {id: "b", alg: "ES256"}}
	for _, tt := range []struct {
		kid, alg string
		want     int
	}{
		{"a", "RS256", 1}, {"a", "PS256", 0}, {"b", "RS256", 1}, {"b", "ES256", 2}, {"c", "RS256", 0}, {"", "RS256", 0},
	} {
		if got := len(s.candidates(tt.kid, tt.alg)); got != tt.want {
			t.Errorf("%q %s: %d candidates, want %d", tt.kid, tt.alg, got, tt.want)
		}
	}
	if got := len(s[:1].candidates("", "RS256")); got != 1 {
		t.Errorf("a single key serves a token without kid: %d", got)
	}
}

func FuzzKeySet(f *testing.F) {
	f.Add(`{"keys":[` + rfcRSA + `,` + rfcEC + `,` + rfcEd + `]}`)
	f.Add(`{"keys":[{"kty":"RSA","n":"","e":""}]}`)
	f.Add(`{"keys":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		var s keySet
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return
		}
		if len(s) == 0 {
			t.Error("an empty set was accepted")
		}
		for _, k := range s {
			if k.public == nil {
				t.Error("a key without a public key was accepted")
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add("eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AA")
	f.Add("...")
	f.Fuzz(func(_ *testing.T, token string) { _, _, _ = header(token) })
}
