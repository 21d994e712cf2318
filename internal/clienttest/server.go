// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

const (
	oauthDocument  = "/.well-known/oauth-authorization-server"
	openIDDocument = "/.well-known/openid-configuration"
)

// serverURLs are where all but one client look: the OAuth document with the path at the
// end, the OpenID document likewise, the OpenID document below the issuer.
func serverURLs(issuer string) []string {
	u, err := parseURL(issuer)
	if err != nil {
		return nil
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if path == "" {
		return []string{origin(u) + oauthDocument, origin(u) + openIDDocument}
	}
	return []string{origin(u) + oauthDocument + path, origin(u) + openIDDocument + path, origin(u) + path + openIDDocument}
}

// mcpRemoteServerURLs is getMetadataUrls of src/lib/authorization-server-metadata.ts in
// mcp-remote: after the first place the root, also where the issuer has a path.
func mcpRemoteServerURLs(issuer string) []string {
	urls := serverURLs(issuer)
	if u, err := parseURL(issuer); err == nil && len(urls) == 3 {
		urls = slices.Insert(urls, 1, origin(u)+oauthDocument)
	}
	return urls
}

// oauthSchema is OAuthMetadataSchema of shared/auth.js in @modelcontextprotocol/sdk.
var oauthSchema = schema{
	required: []string{"issuer", "authorization_endpoint", "token_endpoint", "response_types_supported"},
	texts:    []string{"issuer", "introspection_endpoint"},
	urls: []string{
		"authorization_endpoint", "token_endpoint", "registration_endpoint", "service_documentation", "revocation_endpoint",
	},
	lists: []string{
		"scopes_supported", "response_types_supported", "response_modes_supported", "grant_types_supported",
		"token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported",
		"revocation_endpoint_auth_methods_supported", "introspection_endpoint_auth_methods_supported", "code_challenge_methods_supported",
	},
	flags: []string{"client_id_metadata_document_supported"},
}

// openIDSchema is OpenIdProviderDiscoveryMetadataSchema of the same file, which is applied
// to whatever is found at an OpenID address.
var openIDSchema = schema{
	required: append(slices.Clone(oauthSchema.required), "jwks_uri", "subject_types_supported", "id_token_signing_alg_values_supported"),
	texts:    oauthSchema.texts,
	urls:     append(slices.Clone(oauthSchema.urls), "jwks_uri", "userinfo_endpoint", "op_policy_uri", "op_tos_uri"),
	lists: append(slices.Clone(oauthSchema.lists), "subject_types_supported", "id_token_signing_alg_values_supported",
		"claims_supported", "acr_values_supported"),
	flags: append(slices.Clone(oauthSchema.flags), "claims_parameter_supported", "request_parameter_supported"),
}

// pythonSchema is OAuthMetadata of src/mcp/shared/auth.py.
var pythonSchema = schema{
	required: []string{"issuer", "authorization_endpoint", "token_endpoint"},
	urls:     append(slices.Clone(oauthSchema.urls), "issuer", "introspection_endpoint", "op_policy_uri", "op_tos_uri"),
	lists:    append(slices.Clone(oauthSchema.lists), "ui_locales_supported"),
	flags:    []string{"client_id_metadata_document_supported", "authorization_response_iss_parameter_supported"},
}

// readServer reads a document of the right form.
func readServer(p Page, s schema) (Server, error) {
	m, err := parse(p)
	if err != nil {
		return Server{}, err
	}
	if err := s.check(m); err != nil {
		return Server{}, err
	}
	// startAuthorization of client/auth.js; the others use the same values without looking.
	if types := m.list("response_types_supported"); !slices.Contains(types, "code") {
		return Server{}, fmt.Errorf("response_types_supported is %q", types)
	}
	if methods := m.list("code_challenge_methods_supported"); !slices.Contains(methods, "S256") {
		return Server{}, fmt.Errorf("code_challenge_methods_supported is %q", methods)
	}
	return Server{
		Issuer: m.text("issuer"), Authorization: m.text("authorization_endpoint"), Token: m.text("token_endpoint"),
		Registration: m.text("registration_endpoint"), AuthMethods: m.list("token_endpoint_auth_methods_supported"),
	}, nil
}

// typeScriptServer is discoverAuthorizationServerMetadata of client/auth.js. Version 1 does
// not compare the issuer, version 2 and this test do.
func typeScriptServer(p Page, issuer string) (Server, error) {
	s := oauthSchema
	if strings.Contains(p.URL, openIDDocument) {
		s = openIDSchema
	}
	return sameIssuer(p, s, issuer)
}

// sameIssuer compares byte for byte: validate_metadata_issuer of
// src/mcp/client/auth/utils.py, GetAuthServerMetadataAsync of ClientOAuthProvider.cs, and
// @modelcontextprotocol/client, which forgives a slash at the end of what it looked for.
func sameIssuer(p Page, s schema, issuer string) (Server, error) {
	server, err := readServer(p, s)
	if err == nil && server.Issuer != issuer {
		err = fmt.Errorf("issuer is %q, expected %q", server.Issuer, issuer)
	}
	return server, err
}

func pythonServer(p Page, issuer string) (Server, error) { return sameIssuer(p, pythonSchema, issuer) }

// csharpServer: the first method of token_endpoint_auth_methods_supported is the one that
// the client uses, so there has to be one.
func csharpServer(p Page, issuer string) (Server, error) {
	server, err := sameIssuer(p, oauthSchema, issuer)
	if err == nil && len(server.AuthMethods) == 0 {
		err = errors.New("no token_endpoint_auth_methods_supported")
	}
	return server, err
}

// vsCodeServer is isAuthorizationServerMetadata of src/vs/base/common/oauth.ts: an issuer,
// and web addresses.
func vsCodeServer(p Page, _ string) (Server, error) {
	return readServer(p, schema{
		required: []string{"issuer"},
		urls:     []string{"issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri"},
	})
}

// goServer is the Go SDK itself on the page.
func goServer(p Page, issuer string) (Server, error) {
	m, err := oauthex.GetAuthServerMeta(context.Background(), p.URL, issuer, canned(p))
	if err != nil {
		return Server{}, err
	}
	if m == nil {
		return Server{}, errors.New("no document")
	}
	return Server{
		Issuer: m.Issuer, Authorization: m.AuthorizationEndpoint, Token: m.TokenEndpoint,
		Registration: m.RegistrationEndpoint, AuthMethods: m.TokenEndpointAuthMethodsSupported,
	}, nil
}
