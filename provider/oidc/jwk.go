// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// key is one signature key of the provider.
type key struct {
	id string
	// alg is the algorithm that the key is for; "" where the provider does not say.
	alg string
	// issuer is the member that Microsoft adds: whose tokens the key may sign.
	issuer string
	public crypto.PublicKey
}

// jwk has the members of RFC 7517 §4 and RFC 7518 §6 that public keys have, and issuer.
type jwk struct {
	Kty    string `json:"kty"`
	Use    string `json:"use"`
	Kid    string `json:"kid"`
	Alg    string `json:"alg"`
	Issuer string `json:"issuer"`
	N      string `json:"n"`
	E      string `json:"e"`
	Crv    string `json:"crv"`
	X      string `json:"x"`
	Y      string `json:"y"`
}

// keySet reads a JWK set. RFC 7517 §5: keys that are "not understood", that miss members
// or have values "out of the supported ranges" SHOULD be ignored.
type keySet []key

func (s *keySet) UnmarshalJSON(b []byte) error {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	for _, r := range raw.Keys {
		var j jwk
		if err := json.Unmarshal(r, &j); err != nil || (j.Use != "" && j.Use != "sig") {
			continue
		}
		public, err := j.public()
		if err != nil {
			continue
		}
		*s = append(*s, key{id: j.Kid, alg: j.Alg, issuer: j.Issuer, public: public})
	}
	if len(*s) == 0 {
		return errors.New("the key set has no key that can be used")
	}
	return nil
}

func (j jwk) public() (crypto.PublicKey, error) {
	switch j.Kty {
	case "RSA":
		return rsaKey(j.N, j.E)
	case "EC":
		return ecKey(j.Crv, j.X, j.Y)
	case "OKP":
		return edKey(j.Crv, j.X)
	default:
		return nil, fmt.Errorf("key type %.16q is not supported", j.Kty)
	}
}

// rsaKey demands 2048 bits, as RFC 7518 §3.3 does ("A key of size 2048 bits or larger
// MUST be used").
func rsaKey(n64, e64 string) (crypto.PublicKey, error) {
	n, err := base64.RawURLEncoding.DecodeString(n64)
	if err != nil {
		return nil, err
	}
	e, err := base64.RawURLEncoding.DecodeString(e64)
	if err != nil || len(e) == 0 || len(e) > 4 {
		return nil, errors.New("exponent out of range")
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := k.N.BitLen(); bits < 2048 || bits > 8192 || k.E < 3 || k.E%2 == 0 {
		return nil, errors.New("key size out of range")
	}
	return k, nil
}

func ecKey(crv, x64, y64 string) (crypto.PublicKey, error) {
	curves := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
	curve, ok := curves[crv]
	if !ok {
		return nil, fmt.Errorf("curve %.16q is not supported", crv)
	}
	x, err := base64.RawURLEncoding.DecodeString(x64)
	if err != nil {
		return nil, err
	}
	y, err := base64.RawURLEncoding.DecodeString(y64)
	if err != nil {
		return nil, err
	}
	// RFC 7518 §6.2.1.2: the octets are "the full size of a coordinate".
	if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
		return nil, errors.New("coordinate has the wrong length")
	}
	return ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, x...), y...))
}

func edKey(crv, x64 string) (crypto.PublicKey, error) {
	x, err := base64.RawURLEncoding.DecodeString(x64)
	if err != nil {
		return nil, err
	}
	if crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil, errors.New("not an Ed25519 key")
	}
	return ed25519.PublicKey(x), nil
}
