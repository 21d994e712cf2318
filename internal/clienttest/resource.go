// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

const resourceDocument = "/.well-known/oauth-protected-resource"

// search describes how a client makes its places out of the URL that was pasted.
type search struct {
	// announcedOnly: a URL in the challenge is the only place.
	announcedOnly bool
	// trim: a slash at the end of the path is left out.
	trim bool
}

func (s search) places(pasted, announced string) []Place {
	u, err := parseURL(pasted)
	if err != nil {
		return nil
	}
	var out []Place
	if announced != "" {
		out = append(out, Place{announced, pasted})
		if s.announcedOnly {
			return out
		}
	}
	path := u.EscapedPath()
	if s.trim {
		path = strings.TrimSuffix(path, "/")
	}
	root := origin(u) + resourceDocument
	if path != "" && path != "/" {
		out = append(out, Place{root + path, pasted})
	}
	return append(out, Place{root, pasted})
}

// goPlaces is protectedResourceMetadataURLs of auth/authorization_code.go in the Go SDK. The
// document at the root has to be about the bare origin.
func goPlaces(pasted, announced string) []Place {
	var out []Place
	if announced != "" {
		out = append(out, Place{announced, pasted})
	}
	u, err := url.Parse(pasted)
	if err != nil {
		return out
	}
	root := origin(u) + resourceDocument
	return append(out, Place{root + "/" + strings.TrimLeft(u.EscapedPath(), "/"), pasted}, Place{root, origin(u)})
}

// resourceSchema is OAuthProtectedResourceMetadataSchema of shared/auth.js in
// @modelcontextprotocol/sdk; members of other clients are subsets of it.
var resourceSchema = schema{
	required: []string{"resource"},
	urls:     []string{"resource", "jwks_uri", "resource_policy_uri", "resource_tos_uri"},
	texts:    []string{"resource_name", "resource_documentation"},
	lists: []string{
		"authorization_servers", "scopes_supported", "bearer_methods_supported", "resource_signing_alg_values_supported",
		"authorization_details_types_supported", "dpop_signing_alg_values_supported",
	},
	flags: []string{"tls_client_certificate_bound_access_tokens", "dpop_bound_access_tokens_required"},
}

// readResource reads a document that has the right form and is about the right resource.
// Without an authorization server a client would take the resource's origin for one.
func readResource(p Page, about func(document, expected string) bool, expected string) (Resource, error) {
	m, err := parse(p)
	if err != nil {
		return Resource{}, err
	}
	if err := resourceSchema.check(m); err != nil {
		return Resource{}, err
	}
	servers := m.list("authorization_servers")
	if len(servers) == 0 || slices.ContainsFunc(servers, func(s string) bool { return !isURL(s) }) {
		return Resource{}, fmt.Errorf("authorization_servers is %q", servers)
	}
	if !about(m.text("resource"), expected) {
		return Resource{}, fmt.Errorf("resource is %q, expected %q", m.text("resource"), expected)
	}
	return Resource{Resource: m.text("resource"), Issuer: servers[0], Scopes: m.list("scopes_supported")}, nil
}

// covers is checkResourceAllowed of shared/auth-utils.js: the same origin, and a path that
// begins with the document's. Version 1.32.2 also wants a path that is no shorter.
func covers(document, pasted string) bool {
	return coversPath(document, pasted, true)
}

// pythonCovers is check_resource_allowed of src/mcp/shared/auth_utils.py.
func pythonCovers(document, pasted string) bool {
	return coversPath(document, pasted, false)
}

func coversPath(document, pasted string, notShorter bool) bool {
	d, err := parseURL(document)
	if err != nil {
		return false
	}
	p, err := parseURL(pasted)
	if err != nil || origin(d) != origin(p) || notShorter && len(p.Path) < len(d.Path) {
		return false
	}
	return strings.HasPrefix(slashed(p.Path), slashed(d.Path))
}

func slashed(path string) string { return strings.TrimSuffix(path, "/") + "/" }

// sameURL is fetchResourceMetadata of src/vs/base/common/oauth.ts: equal as URLs, also at
// the root.
func sameURL(document, pasted string) bool {
	d, err := parseURL(document)
	if err != nil {
		return false
	}
	p, err := parseURL(pasted)
	return err == nil && d.String() == p.String()
}

// csharpSame is VerifyResourceMatch of ClientOAuthProvider.cs: equal without case and the
// slash at the end, or the bare authority.
func csharpSame(document, pasted string) bool {
	d, err := parseURL(document)
	if err != nil {
		return false
	}
	p, err := parseURL(pasted)
	if err != nil {
		return false
	}
	have := strings.ToLower(origin(d) + strings.TrimRight(d.Path, "/"))
	return have == strings.ToLower(origin(p)+strings.TrimRight(p.Path, "/")) || have == strings.ToLower(origin(p))
}

// goResource is the Go SDK itself on the page.
func goResource(p Page, at Place) (Resource, error) {
	m, err := oauthex.GetProtectedResourceMetadata(context.Background(), p.URL, at.Resource, canned(p))
	if err != nil {
		return Resource{}, err
	}
	if len(m.AuthorizationServers) == 0 {
		return Resource{}, errors.New("no authorization server")
	}
	return Resource{Resource: m.Resource, Issuer: m.AuthorizationServers[0], Scopes: m.ScopesSupported}, nil
}

// canned is a client for which every answer is the page.
func canned(p Page) *http.Client { return &http.Client{Transport: cannedPage(p)} }

type cannedPage Page

// RoundTrip implements http.RoundTripper.
func (p cannedPage) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: p.Status, Header: p.Header, Body: io.NopCloser(strings.NewReader(string(p.Body))), Request: r,
	}, nil
}
