// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

// IDToken is an ID token before it is signed. Forge changes it in tests.
type IDToken struct {
	Header, Claims map[string]any
	// Sign returns the signature over header and payload.
	Sign func(input []byte) []byte
	// PublicKey is the key that clients know, for forgeries that abuse it.
	PublicKey *rsa.PublicKey
}

// Forge lets f change every ID token before it is signed; nil ends that.
func (s *server) Forge(f func(*IDToken)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forge = f
}

// sign makes a compact JWS (RFC 7515 §7.1).
func (s *server) sign(claims map[string]any) string {
	k := s.signer()
	t := &IDToken{
		Header:    map[string]any{"typ": "JWT", "alg": "RS256", "kid": k.id},
		Claims:    claims,
		Sign:      func(input []byte) []byte { return SignRS256(k.private, input) },
		PublicKey: &k.private.PublicKey,
	}
	s.mu.Lock()
	forge := s.forge
	s.mu.Unlock()
	if forge != nil {
		forge(t)
	}
	input := encodePart(t.Header) + "." + encodePart(t.Claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(t.Sign([]byte(input)))
}

// SignRS256 signs as RFC 7518 §3.3 says.
func SignRS256(key *rsa.PrivateKey, input []byte) []byte {
	sum := sha256.Sum256(input)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic("entratest: signing: " + err.Error())
	}
	return sig
}

func encodePart(v map[string]any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("entratest: a claim is not JSON: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
