// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"fmt"
	"slices"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

// Metadata is what we use of a provider's discovery document (OpenID Connect Discovery
// 1.0 §3).
type Metadata struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	// UserInfoEndpoint is where claims are that the ID token lacks; may be empty.
	UserInfoEndpoint  string   `json:"userinfo_endpoint"`
	IDTokenAlgorithms []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods       []string `json:"token_endpoint_auth_methods_supported"`
	// Prompts is prompt_values_supported (Initiating User Registration via OpenID
	// Connect 1.0 §3).
	Prompts []string `json:"prompt_values_supported"`
	// ResponseIssuer tells that every authorization response has iss (RFC 9207 §3).
	ResponseIssuer bool `json:"authorization_response_iss_parameter_supported"`
}

// checkResponseIssuer compares the iss of an authorization response. RFC 9207 §2.4:
// clients "MUST ... compare the result to the issuer identifier of the authorization
// server where the authorization request was sent to", and "MUST reject" a response
// without it from a server that announces it.
func (m *Metadata) checkResponseIssuer(iss *string) error {
	switch {
	case iss == nil && m.ResponseIssuer:
		return errors.New("the authorization response has no iss")
	case iss != nil && *iss != m.Issuer:
		return errors.New("the authorization response is of another issuer")
	}
	return nil
}

// algorithms are the signature algorithms that we verify. "none" and the HMAC family
// are not among them: a public key must never serve as a shared secret.
var algorithms = []string{
	gooidc.RS256, gooidc.RS384, gooidc.RS512,
	gooidc.PS256, gooidc.PS384, gooidc.PS512,
	gooidc.ES256, gooidc.ES384, gooidc.ES512,
	gooidc.EdDSA,
}

// checkEndpoints demands what every provider must state. Without TLS nobody would know
// whose endpoints and keys they are.
func (m *Metadata) checkEndpoints() error {
	for _, e := range []struct{ name, url string }{
		{"authorization_endpoint", m.AuthorizationEndpoint},
		{"token_endpoint", m.TokenEndpoint},
		{"jwks_uri", m.JWKSURI},
	} {
		if err := CheckURL(e.url); err != nil {
			return fmt.Errorf("discovery document: %s: %w", e.name, err)
		}
	}
	if m.UserInfoEndpoint == "" {
		return nil
	}
	if err := CheckURL(m.UserInfoEndpoint); err != nil {
		return fmt.Errorf("discovery document: userinfo_endpoint: %w", err)
	}
	return nil
}

// Algorithms are the provider's algorithms for ID tokens that we verify. OpenID Connect
// Discovery §3: "The algorithm RS256 MUST be included."
func (m *Metadata) Algorithms() []string {
	if len(m.IDTokenAlgorithms) == 0 {
		return []string{gooidc.RS256}
	}
	var out []string
	for _, a := range m.IDTokenAlgorithms {
		if slices.Contains(algorithms, a) {
			out = append(out, a)
		}
	}
	return out
}

// secretInForm tells how the client secret travels. The choice follows the discovery
// document alone; a refused request is never sent again the other way (security.md G13).
func (m *Metadata) secretInForm() (bool, error) {
	switch {
	case slices.Contains(m.AuthMethods, "client_secret_post"):
		return true, nil
	// "If omitted, the default is client_secret_basic" (OpenID Connect Discovery §3).
	case len(m.AuthMethods) == 0, slices.Contains(m.AuthMethods, "client_secret_basic"):
		return false, nil
	default:
		return false, fmt.Errorf("the provider accepts client authentication by %v only, which is not supported here", m.AuthMethods)
	}
}
