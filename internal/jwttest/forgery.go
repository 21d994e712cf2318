// SPDX-License-Identifier: Apache-2.0

// Package jwttest makes the JWTs that no backend may accept, out of a genuine one, and an
// issuer whose key it knows for those that need the right signature.
package jwttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Forgery is a JWT that must be refused.
type Forgery struct{ Name, Token string }

// object is a decoded JSON object.
type object = map[string]any

// with returns a copy in which members are set, or removed where the value is nil.
func with(o object, changes object) object {
	out := maps.Clone(o)
	for name, value := range changes {
		if out[name] = value; value == nil {
			delete(out, name)
		}
	}
	return out
}

// Outside returns what anybody can forge who has seen one genuine JWT and the public key
// set. jku is the URL of a key set of the forger's own, which must not be fetched.
func Outside(genuine string, keySet []byte, jku string) ([]Forgery, error) {
	header, claims, signature, err := split(genuine)
	if err != nil {
		return nil, err
	}
	var published jose.JSONWebKeySet
	if err := json.Unmarshal(keySet, &published); err != nil {
		return nil, err
	}
	kid, _ := header["kid"].(string)
	keys := published.Key(kid)
	if len(keys) != 1 {
		return nil, fmt.Errorf("the key set has %d keys with the id %q", len(keys), kid)
	}
	public, err := x509.MarshalPKIXPublicKey(keys[0].Key)
	if err != nil {
		return nil, err
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	own, jwk, err := ownKey(keys[0])
	if err != nil {
		return nil, err
	}
	changed := with(claims, object{"sub": "somebody-else"})
	unsigned := encode(header) + "." + encode(claims) + "."
	return []Forgery{
		{"alg none", encode(with(header, object{"alg": "none"})) + "." + encode(changed) + "."},
		{"alg HS256 with the public key as secret", authenticate(with(header, object{"alg": "HS256"}), changed, secret)},
		{"another key under the same kid", sign(header, changed, own)},
		{"unknown kid", sign(with(header, object{"kid": "own"}), changed, own)},
		{"no kid", sign(with(header, object{"kid": nil}), changed, own)},
		{"key in the header jwk", sign(with(header, object{"jwk": jwk}), changed, own)},
		{"key set in the header jku", sign(with(header, object{"kid": "own", "jku": jku}), changed, own)},
		{"changed payload", encode(header) + "." + encode(changed) + "." + signature},
		{"changed header", encode(with(header, object{"x": "y"})) + "." + encode(claims) + "." + signature},
		{"no signature", unsigned},
		{"truncated signature", unsigned + signature[:len(signature)-8]},
		{"signature of zeros", unsigned + strings.Repeat("A", len(signature))},
		{"two parts", strings.TrimSuffix(unsigned, ".")},
	}, nil
}

// ownKey makes a key of the forger's own, of the same kind as a published one, and the
// public JWK that claims to be that one.
func ownKey(published jose.JSONWebKey) (crypto.Signer, object, error) {
	var own crypto.Signer
	var err error
	if published.Algorithm == string(jose.ES256) {
		own, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		own, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return nil, nil, err
	}
	raw, err := json.Marshal(jose.JSONWebKey{Key: own.Public(), KeyID: published.KeyID, Algorithm: published.Algorithm})
	if err != nil {
		return nil, nil, err
	}
	var jwk object
	err = json.Unmarshal(raw, &jwk)
	return own, jwk, err
}

// split takes a JWT apart.
func split(token string) (header, claims object, signature string, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(parts[2]) < 16 {
		return nil, nil, "", errors.New("not a signed JWT")
	}
	for i, into := range []*object{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil, "", err
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return nil, nil, "", err
		}
	}
	return header, claims, parts[2], nil
}

func encode(o object) string {
	raw, err := json.Marshal(o)
	if err != nil {
		panic(err) // of what JSON was made of
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// sign signs as the kind of key does, RS256 or ES256, whatever the header says.
func sign(header, claims object, key crypto.Signer) string {
	input := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(input))
	signature := make([]byte, 64)
	var err error
	switch key := key.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, key, sum[:]); err == nil {
			r.FillBytes(signature[:32])
			s.FillBytes(signature[32:])
		}
	}
	if err != nil {
		panic(err) // the key is one that was just made
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// authenticate signs with HS256.
func authenticate(header, claims object, secret []byte) string {
	input := encode(header) + "." + encode(claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
