// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// jwk is a public key (RFC 7517 §4, RFC 7518 §6). It has no member for a private part.
type jwk struct {
	KeyType   string `json:"kty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	KID       string `json:"kid"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
	N         string `json:"n,omitempty"`
	E         string `json:"e,omitempty"`
}

// JWKS returns the JWK set with the public part of every given key: the active one
// first, then the next, then retired ones. Keys of all three states are published, so
// that a backend knows a key before it is used and as long as something signed by it
// lives.
func JWKS(keys []seal.SigningKey) ([]byte, error) {
	sorted := slices.Clone(keys)
	order := map[seal.SigningState]int{seal.SigningActive: 0, seal.SigningNext: 1, seal.SigningRetired: 2}
	slices.SortStableFunc(sorted, func(a, b seal.SigningKey) int {
		return cmp.Compare(order[a.State], order[b.State])
	})
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range sorted {
		private, err := parseSigningKey(k)
		if err != nil {
			return nil, err
		}
		public, err := publicJWK(private.Public())
		if err != nil {
			return nil, err
		}
		public.Use, public.Algorithm, public.KID = "sig", k.Alg, k.KID
		set.Keys = append(set.Keys, public)
	}
	return json.Marshal(set)
}

func publicJWK(key crypto.PublicKey) (jwk, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		e := big.NewInt(int64(key.E))
		return jwk{KeyType: "RSA", N: encode64(key.N.Bytes()), E: encode64(e.Bytes())}, nil
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return jwk{}, fmt.Errorf("tokens: encoding a public key: %w", err)
		}
		// SEC 1 §2.3.3: 0x04, then both coordinates in full length.
		size := (len(point) - 1) / 2
		return jwk{
			KeyType: "EC", Curve: key.Params().Name,
			X: encode64(point[1 : 1+size]), Y: encode64(point[1+size:]),
		}, nil
	default:
		return jwk{}, fmt.Errorf("tokens: no JWK for a %T", key)
	}
}

// thumbprint returns the RFC 7638 thumbprint: the required members alone, in
// lexicographic order, without space.
func (k jwk) thumbprint() string {
	text := fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, k.E, k.N)
	if k.KeyType == "EC" {
		text = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, k.Curve, k.X, k.Y)
	}
	sum := sha256.Sum256([]byte(text))
	return encode64(sum[:])
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
