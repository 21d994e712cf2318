// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// Bounds of a registration.
const (
	// MaxRegistration is the longest registration request in bytes.
	MaxRegistration = 16 << 10
	// MaxRedirectURIs is how many redirect URIs one client may have.
	MaxRedirectURIs = 10
)

// RegistrationRequest is what we read of a client's metadata (RFC 7591 §2). Every other
// member is dropped: nothing that a stranger names is ever fetched.
type RegistrationRequest struct {
	RedirectURIs            []string
	ClientName              string
	ClientURI               string
	TokenEndpointAuthMethod string
	GrantTypes              []string
	ResponseTypes           []string
	Scope                   string
	ApplicationType         string
}

// RegistrationResponse is the client information response (RFC 7591 §3.2.1). It states
// what was registered, which may be less than what was asked for.
type RegistrationResponse struct {
	ClientID string `json:"client_id"`
	// ClientSecret is set for confidential clients; it is marshalled in clear text,
	// here and nowhere else.
	ClientSecret secret.String `json:"-"`
	// ClientIDIssuedAt is in seconds since the epoch.
	ClientIDIssuedAt int64 `json:"client_id_issued_at"`
	// ClientSecretExpiresAt is present with a secret alone; 0 means never.
	ClientSecretExpiresAt   *int64   `json:"client_secret_expires_at,omitempty"`
	ClientName              string   `json:"client_name,omitempty"`
	ClientURI               string   `json:"client_uri,omitempty"`
	RedirectURIs            []string `json:"redirect_uris"`
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method"`
	GrantTypes              []string `json:"grant_types"`
	ResponseTypes           []string `json:"response_types"`
	Scope                   string   `json:"scope,omitempty"`
	ApplicationType         string   `json:"application_type,omitempty"`
}

// MarshalJSON writes the response with its secret.
func (r RegistrationResponse) MarshalJSON() ([]byte, error) {
	type members RegistrationResponse
	return json.Marshal(struct {
		members
		ClientSecret string `json:"client_secret,omitempty"`
	}{members(r), r.ClientSecret.Reveal()})
}

// ParseRegistration reads a registration request. The error is an *Error:
// invalid_redirect_uri where redirect_uris are missing, malformed or too many, otherwise
// invalid_client_metadata. It checks form and size; which URIs and values are acceptable
// is for the caller to say.
func ParseRegistration(body []byte) (*RegistrationRequest, error) {
	if len(body) > MaxRegistration {
		return nil, New(InvalidClientMetadata, "The registration is longer than 16 KB.").WithStatus(413)
	}
	members, err := strictObject(body)
	if err != nil {
		return nil, New(InvalidClientMetadata, "The body must be one JSON object in UTF-8, at most 8 levels deep, without repeated members.")
	}
	var r RegistrationRequest
	fields := r.fields()
	if hasMisspelt(members, fields) {
		return nil, New(InvalidClientMetadata, "A member is written in the wrong case.")
	}
	for name, dst := range fields {
		raw, ok := members[name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(raw, dst); err != nil {
			return nil, typeError(name)
		}
	}
	if err := checkRedirectCount(r.RedirectURIs); err != nil {
		return nil, err
	}
	return &r, nil
}

func (r *RegistrationRequest) fields() map[string]any {
	return map[string]any{
		"redirect_uris":              &r.RedirectURIs,
		"client_name":                &r.ClientName,
		"client_uri":                 &r.ClientURI,
		"token_endpoint_auth_method": &r.TokenEndpointAuthMethod,
		"grant_types":                &r.GrantTypes,
		"response_types":             &r.ResponseTypes,
		"scope":                      &r.Scope,
		"application_type":           &r.ApplicationType,
	}
}

// hasMisspelt tells whether a member differs from one that we read in case alone: another
// reader of the same request might take it for that one.
func hasMisspelt(members map[string]json.RawMessage, known map[string]any) bool {
	for name := range members {
		if _, exact := known[name]; exact {
			continue
		}
		for k := range known {
			if foldCase(k) == foldCase(name) {
				return true
			}
		}
	}
	return false
}

func typeError(member string) error {
	if member == "redirect_uris" {
		return New(InvalidRedirectURI, "redirect_uris must be a list of strings.")
	}
	return New(InvalidClientMetadata, member+" has the wrong type.")
}

func checkRedirectCount(uris []string) error {
	switch {
	case len(uris) == 0:
		// RFC 7591 §2: "Clients using flows with redirection MUST register their
		// redirection URI values."
		return New(InvalidRedirectURI, "redirect_uris must name at least one URI.")
	case len(uris) > MaxRedirectURIs:
		return New(InvalidRedirectURI, "redirect_uris must not name more than 10 URIs.")
	case slices.ContainsFunc(uris, func(u string) bool { return len(u) > MaxRedirectURI }):
		return New(InvalidRedirectURI, "A redirect URI is longer than 2048 bytes.")
	}
	return nil
}
