// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"time"
)

// Forgery is an ID token that every relying party has to refuse. The names are those of
// the OpenID conformance suite where it has the case.
type Forgery struct {
	Name  string
	Forge func(*IDToken)
}

// set returns a forgery of one claim; nil takes the claim away.
func set(name, claim string, value any) Forgery {
	return Forgery{name, func(t *IDToken) {
		if value == nil {
			delete(t.Claims, claim)
			return
		}
		t.Claims[claim] = value
	}}
}

// shift moves a date that the token has, or would have, by d.
func shift(name, claim string, d time.Duration) Forgery {
	return Forgery{name, func(t *IDToken) {
		issued, _ := t.Claims["iat"].(int64)
		t.Claims[claim] = time.Unix(issued, 0).Add(d).Unix()
	}}
}

// SignatureForgeries are wrong in header or signature (security.md G03).
func SignatureForgeries() []Forgery {
	return []Forgery{
		{"IdTokenSigAlgNone", func(t *IDToken) {
			t.Header["alg"] = "none"
			t.Sign = func([]byte) []byte { return nil }
		}},
		{"InvalidSignatureRS256", func(t *IDToken) {
			t.Sign = func(input []byte) []byte { return SignRS256(poolKey(foreignKey).private, input) }
		}},
		{"InvalidSignatureES256", func(t *IDToken) {
			t.Header["alg"] = "ES256"
			t.Sign = func([]byte) []byte { return make([]byte, 64) }
		}},
		{"InvalidSignatureHS256WithPublicKey", func(t *IDToken) {
			t.Header["alg"] = "HS256"
			public := t.PublicKey
			t.Sign = func(input []byte) []byte {
				mac := hmac.New(sha256.New, x509.MarshalPKCS1PublicKey(public))
				mac.Write(input)
				return mac.Sum(nil)
			}
		}},
		{"SignatureAbsent", func(t *IDToken) { t.Sign = func([]byte) []byte { return nil } }},
		{"SignatureOfOtherContent", func(t *IDToken) {
			sign := t.Sign
			t.Sign = func([]byte) []byte { return sign([]byte("e30.e30")) }
		}},
		{"KidUnknown", func(t *IDToken) { t.Header["kid"] = "nobody" }},
		{"CriticalHeaderUnknown", func(t *IDToken) {
			t.Header["crit"] = []string{"exp"}
			t.Header["exp"] = 1
		}},
	}
}

// ClaimForgeries have a wrong value in a claim (security.md G04).
func ClaimForgeries() []Forgery {
	return []Forgery{
		set("NonceInvalid", "nonce", "another"),
		set("InvalidIssuer", "iss", "https://evil.example"),
		set("InvalidAud", "aud", "another-client"),
		set("InvalidAudList", "aud", []string{"another-client", "a-third"}),
		set("AudEmpty", "aud", ""),
		set("InvalidAzp", "azp", "another-client"),
		set("AzpNotText", "azp", 7),
		{"SeveralAudWithoutAzp", func(t *IDToken) {
			t.Claims["aud"] = []any{t.Claims["aud"], "another-client"}
			delete(t.Claims, "azp")
		}},
		set("InvalidAtHash", "at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
		set("AtHashNotText", "at_hash", 7),
		shift("Expired", "exp", -2*time.Minute),
		shift("ExpiredAtLeeway", "exp", -time.Minute),
		shift("IssuedInFuture", "iat", 2*time.Minute),
		shift("NotYetValid", "nbf", 2*time.Minute),
		set("ExpNotADate", "exp", "tomorrow"),
		set("ExpZero", "exp", 0),
		set("ExpNegative", "exp", -5),
		set("IatNotADate", "iat", true),
		set("NbfNotADate", "nbf", []int{1}),
		set("SubNotText", "sub", 7),
	}
}

// AbsenceForgeries lack a claim (security.md G05).
func AbsenceForgeries() []Forgery {
	return []Forgery{
		set("NonceMissing", "nonce", nil),
		set("MissingIssuer", "iss", nil),
		set("MissingAud", "aud", nil),
		set("MissingExp", "exp", nil),
		set("MissingIat", "iat", nil),
		set("MissingSub", "sub", nil),
		set("SubEmpty", "sub", ""),
		set("NonceEmpty", "nonce", ""),
	}
}
