// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// accepted is a registration after the rules were applied. RFC 7591 §3.2.1: "The
// authorization server MAY reject or replace any of the client's requested metadata
// values"; what was replaced is echoed.
type accepted struct {
	// redirects, grants and scope are in the client's order and spelling, for the answer.
	redirects []string
	grants    []string
	scope     oauth.Scopes
	method    AuthMethod
	name, uri string
	appType   string
}

// accept applies the rules. The error is an *oauth.Error with invalid_redirect_uri or
// invalid_client_metadata.
func accept(rules Rules, req *oauth.RegistrationRequest) (accepted, error) {
	a := accepted{name: cleanName(req.ClientName), uri: cleanClientURI(req.ClientURI), scope: acceptScope(rules, req.Scope)}
	var err error
	if a.redirects, err = acceptRedirects(rules, req.RedirectURIs); err != nil {
		return accepted{}, err
	}
	if a.grants, err = acceptGrants(req.GrantTypes); err != nil {
		return accepted{}, err
	}
	if len(req.ResponseTypes) > 0 && !slices.Contains(req.ResponseTypes, "code") {
		return accepted{}, oauth.New(oauth.InvalidClientMetadata, "response_types must include code.")
	}
	if a.method, err = acceptMethod(req.TokenEndpointAuthMethod); err != nil {
		return accepted{}, err
	}
	if req.ApplicationType == "native" || req.ApplicationType == "web" {
		a.appType = req.ApplicationType
	}
	return a, nil
}

// acceptRedirects keeps the acceptable ones: clients register for several environments at
// once, and one that we refuse must not take the others with it.
func acceptRedirects(rules Rules, uris []string) ([]string, error) {
	var kept []string
	var fault error
	for _, uri := range uris {
		if err := oauth.CheckRedirectURI(uri); err != nil {
			fault = err
		} else if !rules.acceptsRedirect(uri) {
			fault = oauth.New(oauth.InvalidRedirectURI, "The host of the redirect URI is not allowed here.")
		} else if !slices.Contains(kept, uri) {
			kept = append(kept, uri)
		}
	}
	if len(kept) == 0 {
		return nil, fault
	}
	return kept, nil
}

// acceptGrants intersects with what there is. A client that names none gets both: the
// default of RFC 7591 §2, the code alone, would send its people to the browser each hour.
func acceptGrants(requested []string) ([]string, error) {
	supported := []string{GrantCode, GrantRefresh}
	if len(requested) == 0 {
		return supported, nil
	}
	var kept []string
	for _, g := range requested {
		if slices.Contains(supported, g) && !slices.Contains(kept, g) {
			kept = append(kept, g)
		}
	}
	if !slices.Contains(kept, GrantCode) {
		return nil, oauth.New(oauth.InvalidClientMetadata, "grant_types must include authorization_code.")
	}
	return kept, nil
}

// acceptMethod gives a secret to those alone who ask for one. RFC 7591 §2 would make
// client_secret_basic the default, but MCP clients that name no method are public.
func acceptMethod(requested string) (AuthMethod, error) {
	switch m := AuthMethod(requested); m {
	case "":
		return AuthNone, nil
	case AuthNone, AuthPost, AuthBasic:
		return m, nil
	default:
		return "", oauth.New(oauth.InvalidClientMetadata,
			"token_endpoint_auth_method must be none, client_secret_post or client_secret_basic.")
	}
}

// acceptScope drops unknown scopes; when nothing known remains the client gets what there
// is.
func acceptScope(rules Rules, requested string) oauth.Scopes {
	var kept oauth.Scopes
	for _, s := range oauth.ParseScopes(requested) {
		if rules.Scopes.Has(s) {
			kept = append(kept, s)
		}
	}
	if len(kept.Without(oauth.OfflineAccess)) == 0 {
		return slices.Clone(rules.Scopes)
	}
	return kept
}

// cleanClientURI keeps an https URL that everybody reads the same way.
func cleanClientURI(uri string) string {
	if scheme, _ := oauth.RedirectHost(uri); scheme != "https" {
		return ""
	}
	return uri
}

// record returns what is stored: sorted, and loopback redirects without their port.
func (a accepted) record() record {
	r := record{Name: a.name, URI: a.uri, Grants: slices.Sorted(slices.Values(a.grants))}
	for _, uri := range a.redirects {
		r.Redirects = append(r.Redirects, oauth.WithoutLoopbackPort(uri))
	}
	slices.Sort(r.Redirects)
	r.Redirects = slices.Compact(r.Redirects)
	r.Scope = strings.Join(slices.Sorted(slices.Values(a.scope)), " ")
	if a.method != AuthNone {
		r.Method = a.method
	}
	return r
}

// response answers a registration that is stored under id since issued.
func (a accepted) response(id string, issued int64) *oauth.RegistrationResponse {
	return &oauth.RegistrationResponse{
		ClientID: id, ClientIDIssuedAt: issued,
		ClientName: a.name, ClientURI: a.uri, RedirectURIs: a.redirects,
		TokenEndpointAuthMethod: string(a.method), GrantTypes: a.grants,
		ResponseTypes: []string{"code"}, Scope: a.scope.String(), ApplicationType: a.appType,
	}
}
