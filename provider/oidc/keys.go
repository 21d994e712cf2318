// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

var errNoKey = errors.New("no key of the provider fits the token")

// signature verifies one token with the provider's keys. It implements go-oidc's KeySet
// for a single verification and remembers what go-oidc does not pass on: which key it
// was, and whether the keys could not be had at all.
type signature struct {
	keys *remote[keySet]
	// signer is the key that verified the token.
	signer key
	// unavailable is set where the keys, or newer ones, could not be fetched: the token
	// is then neither good nor bad.
	unavailable error
}

// VerifySignature implements go-oidc's KeySet. go-oidc has checked before that the
// algorithm is one of those allowed.
func (s *signature) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	kid, alg, err := header(token)
	if err != nil {
		return nil, err
	}
	known, err := s.keys.get(ctx)
	if err != nil {
		s.unavailable = fmt.Errorf("fetching the provider's keys: %w", err)
		return nil, s.unavailable
	}
	if payload, err := s.verifyWith(ctx, known, kid, alg, token); err == nil {
		return payload, nil
	}
	// The provider may have rotated its keys a moment ago.
	known, err = s.keys.renew(ctx)
	if err != nil {
		s.unavailable = fmt.Errorf("fetching the provider's new keys: %w", err)
		return nil, s.unavailable
	}
	return s.verifyWith(ctx, known, kid, alg, token)
}

func (s *signature) verifyWith(ctx context.Context, known keySet, kid, alg, token string) ([]byte, error) {
	err := errNoKey
	for _, k := range known.candidates(kid, alg) {
		one := gooidc.StaticKeySet{PublicKeys: []crypto.PublicKey{k.public}}
		var payload []byte
		if payload, err = one.VerifySignature(ctx, token); err == nil {
			s.signer = k
			return payload, nil
		}
	}
	return nil, err
}

// candidates are the keys that may have signed a token with this header. OpenID Connect
// Core §10.1: "If there are multiple keys in the referenced JWK Set document, a kid value
// MUST be provided".
func (s keySet) candidates(kid, alg string) keySet {
	if kid == "" && len(s) > 1 {
		return nil
	}
	var out keySet
	for _, k := range s {
		if (kid == "" || k.id == kid) && (k.alg == "" || k.alg == alg) {
			out = append(out, k)
		}
	}
	return out
}

// header reads kid and alg of a compact JWS (RFC 7515 §7.1).
func header(token string) (kid, alg string, err error) {
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return "", "", fmt.Errorf("malformed token header: %w", err)
	}
	var h struct {
		Kid string `json:"kid"`
		Alg string `json:"alg"`
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		return "", "", fmt.Errorf("malformed token header: %w", err)
	}
	return h.Kid, h.Alg, nil
}
