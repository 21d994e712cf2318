// SPDX-License-Identifier: Apache-2.0

package oauth

// ProtectedResource is the document of RFC 9728 §2. A member that does not apply is
// absent, never empty.
type ProtectedResource struct {
	// Resource is the resource identifier, in the spelling that was asked for.
	Resource string `json:"resource"`
	// AuthorizationServers are issuer identifiers. Clients use the first alone.
	AuthorizationServers []string `json:"authorization_servers,omitempty"`
	// ScopesSupported are the scopes that the resource needs, without offline_access.
	ScopesSupported Scopes `json:"scopes_supported,omitempty"`
	// BearerMethodsSupported says how a token may be sent (RFC 6750 §2): "header".
	BearerMethodsSupported []string `json:"bearer_methods_supported,omitempty"`
	// ResourceName is what people read.
	ResourceName string `json:"resource_name,omitempty"`
}

// AuthorizationServer is the document of RFC 8414 §2, with the members that OpenID
// Connect Discovery 1.0 §3 requires, because some clients insist on them where they read
// the document at an OpenID address. A member for a feature that is off is absent.
type AuthorizationServer struct {
	Issuer                 string   `json:"issuer"`
	AuthorizationEndpoint  string   `json:"authorization_endpoint"`
	TokenEndpoint          string   `json:"token_endpoint"`
	RegistrationEndpoint   string   `json:"registration_endpoint,omitempty"`  // RFC 7591
	RevocationEndpoint     string   `json:"revocation_endpoint,omitempty"`    // RFC 7009
	IntrospectionEndpoint  string   `json:"introspection_endpoint,omitempty"` // RFC 7662
	JWKSURI                string   `json:"jwks_uri,omitempty"`
	ScopesSupported        Scopes   `json:"scopes_supported,omitempty"`
	ResponseTypesSupported []string `json:"response_types_supported"`
	ResponseModesSupported []string `json:"response_modes_supported,omitempty"`
	GrantTypesSupported    []string `json:"grant_types_supported,omitempty"`
	// TokenEndpointAuthMethodsSupported is ordered: one client takes the first.
	TokenEndpointAuthMethodsSupported          []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	RevocationEndpointAuthMethodsSupported     []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	IntrospectionEndpointAuthMethodsSupported  []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	TokenEndpointAuthSigningAlgValuesSupported []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	// CodeChallengeMethodsSupported is always S256 (RFC 7636); clients refuse a server
	// that does not say so.
	CodeChallengeMethodsSupported []string `json:"code_challenge_methods_supported"`
	// ClientIDMetadataDocumentSupported announces URLs as client ids.
	ClientIDMetadataDocumentSupported bool `json:"client_id_metadata_document_supported,omitempty"`
	// AuthorizationResponseISSParameterSupported announces iss (RFC 9207 §3).
	AuthorizationResponseISSParameterSupported bool     `json:"authorization_response_iss_parameter_supported,omitempty"`
	SubjectTypesSupported                      []string `json:"subject_types_supported,omitempty"`
	IDTokenSigningAlgValuesSupported           []string `json:"id_token_signing_alg_values_supported,omitempty"`
}
