// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// document is a discovery document, the same bytes for everyone.
type document struct {
	body []byte
	etag string
}

const asMetadata = "as"

// buildDocuments renders every document once: they depend on configuration alone, so no
// header of a request can change a byte of them.
func (s *Server) buildDocuments() error {
	s.documents = map[string]document{}
	if err := s.addDocument(asMetadata, s.serverMetadata()); err != nil {
		return err
	}
	for _, r := range s.Policy.Resources {
		for _, slash := range []bool{false, true} {
			if err := s.addDocument(resourceKey(r, slash), s.resourceMetadata(r, slash)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) addDocument(key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	s.documents[key] = document{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	return nil
}

func resourceKey(r *policy.Resource, slash bool) string {
	return r.URL + " " + strconv.FormatBool(slash)
}

// authMethods are how clients authenticate at token and revoke.
var authMethods = []string{"client_secret_post", "client_secret_basic", "none"}

// serverMetadata is the RFC 8414 document. RFC 8414 §2: "code_challenge_methods_supported
// ... If omitted, the authorization server does not support PKCE", and MCP clients refuse
// such a server. The members of OpenID Connect Discovery are there because clients that
// find the document under that name demand them. A member is absent where its feature is.
func (s *Server) serverMetadata() oauth.AuthorizationServer {
	i := s.Policy.Issuer
	m := oauth.AuthorizationServer{
		Issuer:                 i,
		AuthorizationEndpoint:  i + "/authorize",
		TokenEndpoint:          i + "/token",
		RevocationEndpoint:     i + "/revoke",
		JWKSURI:                i + "/jwks",
		ScopesSupported:        s.Policy.AllScopes(),
		ResponseTypesSupported: []string{"code"},
		ResponseModesSupported: []string{"query"},
		GrantTypesSupported:    []string{"authorization_code", "refresh_token"},
		// client_secret_post comes first: the C# SDK takes the first entry, and sends an
		// empty secret where it has none, which counts as absent.
		TokenEndpointAuthMethodsSupported:      authMethods,
		RevocationEndpointAuthMethodsSupported: authMethods,
		CodeChallengeMethodsSupported:          []string{"S256"},
		// RFC 9207 §3: "authorization_response_iss_parameter_supported".
		AuthorizationResponseISSParameterSupported: true,
		SubjectTypesSupported:                      []string{"public"},
		IDTokenSigningAlgValuesSupported:           []string{"RS256"},
	}
	if s.Policy.RegistrationEnabled {
		m.RegistrationEndpoint = i + "/register"
	}
	if s.Policy.Introspection() {
		m.IntrospectionEndpoint = i + "/introspect"
		m.IntrospectionEndpointAuthMethodsSupported = []string{"client_secret_post", "client_secret_basic"}
	}
	return m
}

// resourceMetadata is the RFC 9728 document of r. Clients compare "resource" with the
// URL that they were given, some byte for byte, so the slash variant of the document
// echoes the slash.
func (s *Server) resourceMetadata(r *policy.Resource, slash bool) oauth.ProtectedResource {
	url := r.URL
	if slash {
		url = strings.TrimSuffix(url, "/") + "/"
	}
	return oauth.ProtectedResource{
		Resource:               url,
		AuthorizationServers:   []string{s.Policy.Issuer},
		ScopesSupported:        r.Scopes.Without(oauth.OfflineAccess),
		BearerMethodsSupported: []string{"header"},
		ResourceName:           r.Name,
	}
}

// ServerMetadata answers with the authorization server's document.
func (s *Server) ServerMetadata(w http.ResponseWriter, r *http.Request, c Call) {
	s.serveDocument(w, r, c, asMetadata)
}

// ResourceMetadata answers with the document of res, or with its slash variant.
func (s *Server) ResourceMetadata(w http.ResponseWriter, r *http.Request, c Call, res *policy.Resource, slash bool) {
	s.serveDocument(w, r, c, resourceKey(res, slash))
}

// NoDocument answers for a well-known path that has none. Discovery clients try several
// paths and need a clean 404 from all others.
func (s *Server) NoDocument(w http.ResponseWriter, r *http.Request, c Call) {
	s.serveDocument(w, r, c, "")
}

func (s *Server) serveDocument(w http.ResponseWriter, r *http.Request, c Call, key string) {
	s.harden(w.Header())
	allowAnyOrigin(w.Header())
	defer limitBody(w, r)()
	methods := []string{http.MethodGet, http.MethodHead}
	d, ok := s.documents[key]
	switch {
	case r.Method == http.MethodOptions:
		preflight(w, r, methods)
	case !ok:
		// Also for POST: a client that tries an endpoint which is not built learns that there
		// is none.
		s.fail(w, r, c, errNoDocument)
	case !slices.Contains(methods, r.Method):
		s.fail(w, r, c, methodNotAllowed(methods))
	default:
		d.serve(w, r)
	}
}

func (d document) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", d.etag)
	if noneMatch(r.Header.Values("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(d.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(d.body)
	}
}

// noneMatch is the weak comparison of RFC 9110 §13.1.2.
func noneMatch(values []string, etag string) bool {
	for _, v := range values {
		for tag := range strings.SplitSeq(v, ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}
