// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// The algorithms for JWTs (RFC 7518 §3.1).
const (
	RS256 = "RS256" // RSA-2048; the default, since every library verifies it
	ES256 = "ES256" // P-256; smaller and quicker to sign
)

const rsaBits = 2048

// NewSigningKey makes a key in state next. Its kid is the RFC 7638 thumbprint, so one
// key has one name wherever it goes.
func NewSigningKey(rand io.Reader, alg string, now time.Time) (seal.SigningKey, error) {
	var key crypto.Signer
	var err error
	switch alg {
	case RS256:
		key, err = rsa.GenerateKey(rand, rsaBits)
	case ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand)
	default:
		return seal.SigningKey{}, fmt.Errorf("tokens: no signing algorithm %q, use RS256 or ES256", alg)
	}
	if err != nil {
		return seal.SigningKey{}, fmt.Errorf("tokens: making an %s key: %w", alg, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return seal.SigningKey{}, fmt.Errorf("tokens: encoding an %s key: %w", alg, err)
	}
	public, err := publicJWK(key.Public())
	if err != nil {
		return seal.SigningKey{}, err
	}
	return seal.NewSigningKey(public.thumbprint(), alg, der, now), nil
}

// signatureSize is the length in base64url of what a key signs: with RSA that of the
// modulus (RFC 8017 §8.2.1), with P-256 two numbers of 32 bytes (RFC 7518 §3.4).
func signatureSize(key crypto.Signer) int {
	if key, ok := key.(*rsa.PrivateKey); ok {
		return base64.RawURLEncoding.EncodedLen(key.Size())
	}
	return base64.RawURLEncoding.EncodedLen(2 * 32)
}

// parseSigningKey returns the private key, which must fit the algorithm: RFC 8725 §3.1
// wants one algorithm for one key.
func parseSigningKey(k seal.SigningKey) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(k.PKCS8())
	if err != nil {
		return nil, fmt.Errorf("tokens: signing key %s does not parse", k.KID)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		// RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used with these
		// algorithms."
		if k.Alg == RS256 && key.N.BitLen() >= rsaBits {
			return key, nil
		}
	case *ecdsa.PrivateKey:
		if k.Alg == ES256 && key.Curve == elliptic.P256() {
			return key, nil
		}
	}
	return nil, errors.New("tokens: signing key " + k.KID + " does not fit " + k.Alg)
}
