// SPDX-License-Identifier: Apache-2.0

package pkce_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
)

// The vector of RFC 7636 appendix B.
const (
	vectorVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	vectorChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// vectorRandom are the 32 octets from which appendix B makes the verifier.
var vectorRandom = []byte{
	116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186,
	22, 212, 37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
}

func TestAppendixB(t *testing.T) {
	t.Parallel()
	v, err := pkce.NewVerifier(bytes.NewReader(vectorRandom))
	if err != nil || v != vectorVerifier {
		t.Errorf("NewVerifier = %q, %v; want %q", v, err, vectorVerifier)
	}
	if c := pkce.Challenge(vectorVerifier); c != vectorChallenge {
		t.Errorf("Challenge = %q, want %q", c, vectorChallenge)
	}
	if err := pkce.CheckChallenge(vectorChallenge); err != nil {
		t.Errorf("CheckChallenge = %v", err)
	}
	if err := pkce.Verify(vectorChallenge, vectorVerifier); err != nil {
		t.Errorf("Verify = %v", err)
	}
}

func TestNewVerifierNeedsRandomness(t *testing.T) {
	t.Parallel()
	if v, err := pkce.NewVerifier(bytes.NewReader(vectorRandom[:31])); err == nil || v != "" {
		t.Errorf("NewVerifier on a short reader = %q, %v; want an error", v, err)
	}
	a, _ := pkce.NewVerifier(rand.Reader)
	b, _ := pkce.NewVerifier(rand.Reader)
	if a == b {
		t.Error("two verifiers are equal")
	}
}

func TestSec_C01_ChallengeGrammar(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		"empty":               "",
		"42 characters":       vectorChallenge[:42],
		"44 characters":       vectorChallenge + "A",
		"129 characters":      strings.Repeat("A", 129),
		"padded":              vectorChallenge + "=",
		"standard alphabet":   strings.Repeat("A", 41) + "+A",
		"slash":               strings.Repeat("A", 41) + "/A",
		"spare bits set":      vectorChallenge[:42] + "N",
		"line break":          vectorChallenge[:21] + "\n" + vectorChallenge[22:],
		"line break at end":   vectorChallenge[:42] + "\n",
		"not ASCII":           vectorChallenge[:41] + "é",
		"the verifier, plain": vectorVerifier[:42] + "l",
	}
	for name, c := range bad {
		if err := pkce.CheckChallenge(c); !errors.Is(err, pkce.ErrChallenge) {
			t.Errorf("%s: CheckChallenge(%q) = %v, want ErrChallenge", name, c, err)
		}
	}
}

func TestSec_C02_VerifierGrammar(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		verifier string
		want     error
	}{
		"empty":            {"", pkce.ErrVerifier},
		"42 characters":    {strings.Repeat("a", 42), pkce.ErrVerifier},
		"43 characters":    {strings.Repeat("a", 43), pkce.ErrMismatch},
		"128 characters":   {strings.Repeat("~", 128), pkce.ErrMismatch},
		"129 characters":   {strings.Repeat("a", 129), pkce.ErrVerifier},
		"equals sign":      {strings.Repeat("a", 43) + "=", pkce.ErrVerifier},
		"plus":             {strings.Repeat("a", 43) + "+", pkce.ErrVerifier},
		"space":            {strings.Repeat("a", 43) + " ", pkce.ErrVerifier},
		"NUL":              {strings.Repeat("a", 43) + "\x00", pkce.ErrVerifier},
		"not ASCII":        {strings.Repeat("é", 43), pkce.ErrVerifier},
		"every unreserved": {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", pkce.ErrMismatch},
		"the challenge":    {vectorChallenge, pkce.ErrMismatch},
		"right":            {vectorVerifier, nil},
	}
	for name, tt := range tests {
		if err := pkce.Verify(vectorChallenge, tt.verifier); !errors.Is(err, tt.want) {
			t.Errorf("%s: Verify = %v, want %v", name, err, tt.want)
		}
	}
	if err := pkce.Verify("", vectorVerifier); !errors.Is(err, pkce.ErrMismatch) {
		t.Errorf("Verify of an empty challenge = %v, want ErrMismatch", err)
	}
}

// FuzzVerify holds the grammar to a regular expression, and Verify to accept exactly the
// challenge that belongs to a verifier.
func FuzzVerify(f *testing.F) {
	f.Add(vectorVerifier, vectorChallenge)
	f.Add("", "")
	f.Add(strings.Repeat("a", 43)+"\n", vectorChallenge)
	grammar := regexp.MustCompile(`\A[A-Za-z0-9._~-]{43,128}\z`)
	f.Fuzz(func(t *testing.T, verifier, challenge string) {
		err := pkce.Verify(challenge, verifier)
		if grammar.MatchString(verifier) == errors.Is(err, pkce.ErrVerifier) {
			t.Fatalf("Verify(%q) = %v against the grammar", verifier, err)
		}
		own := pkce.Challenge(verifier)
		if (err == nil) != (grammar.MatchString(verifier) && own == challenge) {
			t.Fatalf("Verify(%q, %q) = %v", challenge, verifier, err)
		}
		if err := pkce.CheckChallenge(own); err != nil {
			t.Fatalf("CheckChallenge(Challenge(%q)) = %v", verifier, err)
		}
	})
}
