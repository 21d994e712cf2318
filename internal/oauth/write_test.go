// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"
)

func TestWriteError(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err    error
		status int
		body   string
		header map[string]string
	}{
		"a definite no": {
			New(InvalidGrant, "The code is not valid."), 400,
			`{"error":"invalid_grant","error_description":"The code is not valid.","ref":"r1"}`, nil,
		},
		"a wrapped no with a cause": {
			fmt.Errorf("token: %w", New(InvalidClient, "Unknown.").WithCause(errors.New("hidden"))), 401,
			`{"error":"invalid_client","error_description":"Unknown.","ref":"r1"}`, nil,
		},
		"the zero status": {&Error{Code: InvalidScope}, 400, `{"error":"invalid_scope","ref":"r1"}`, nil},
		"an unknown outcome": {
			errors.New("store: connection refused"), 503,
			`{"error":"temporarily_unavailable","error_description":"The server cannot answer right now. Try again shortly.","ref":"r1"}`,
			map[string]string{"Retry-After": "5"},
		},
		"a part of a second": {
			New(TemporarilyUnavailable, "").WithStatus(429).WithRetryAfter(1200 * time.Millisecond), 429,
			`{"error":"temporarily_unavailable","ref":"r1"}`,
			map[string]string{"Retry-After": "2"},
		},
		"a method": {
			&Error{Code: InvalidRequest, Status: 405, Allow: "POST"}, 405,
			`{"error":"invalid_request","ref":"r1"}`,
			map[string]string{"Allow": "POST", "Retry-After": ""},
		},
	}
	for name, tt := range tests {
		w := httptest.NewRecorder()
		w.Header().Set("Cache-Control", "public, max-age=300")
		WriteError(w, tt.err, "r1")
		if w.Code != tt.status || w.Body.String() != tt.body+"\n" {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, w.Body, tt.status, tt.body)
		}
		want := map[string]string{
			"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff",
			"Content-Length": fmt.Sprint(len(tt.body) + 1),
		}
		for k, v := range tt.header {
			want[k] = v
		}
		for k, v := range want {
			if got := w.Header().Get(k); got != v {
				t.Errorf("%s: %s = %q, want %q", name, k, got, v)
			}
		}
	}
}

func TestWriteErrorWithoutRef(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	WriteError(w, New(NotFound, "No."), "")
	if got := w.Body.String(); got != `{"error":"not_found","error_description":"No."}`+"\n" {
		t.Error(got)
	}
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "public, max-age=300")
	WriteJSON(w, 200, ProtectedResource{Resource: "https://a.example/mcp"})
	if w.Header().Get("Cache-Control") != "public, max-age=300" || w.Header().Get("Pragma") != "" {
		t.Errorf("caching headers %v", w.Header())
	}
	w = httptest.NewRecorder()
	WriteJSON(w, 201, map[string]string{"a": "<b>"})
	if w.Code != 201 || w.Header().Get("Cache-Control") != "no-store" || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	w = httptest.NewRecorder()
	w.Header().Set("Cache-Control", "public")
	WriteJSON(w, 200, func() {})
	if w.Code != 500 || w.Body.String() != `{"error":"server_error"}`+"\n" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestMetadataMembers(t *testing.T) {
	t.Parallel()
	full := AuthorizationServer{
		Issuer: "https://h.example/oauth", AuthorizationEndpoint: "https://h.example/oauth/authorize", TokenEndpoint: "https://h.example/oauth/token",
		RegistrationEndpoint: "https://h.example/oauth/register", RevocationEndpoint: "https://h.example/oauth/revoke",
		IntrospectionEndpoint: "https://h.example/oauth/introspect", JWKSURI: "https://h.example/oauth/jwks",
		ScopesSupported: Scopes{"mcp", "offline_access"}, ResponseTypesSupported: []string{"code"}, ResponseModesSupported: []string{"query"},
		GrantTypesSupported:                        []string{"authorization_code", "refresh_token"},
		TokenEndpointAuthMethodsSupported:          []string{"client_secret_post", "client_secret_basic", "none", "private_key_jwt"},
		TokenEndpointAuthSigningAlgValuesSupported: []string{"RS256", "ES256"}, CodeChallengeMethodsSupported: []string{"S256"},
		ClientIDMetadataDocumentSupported: true, AuthorizationResponseISSParameterSupported: true,
		SubjectTypesSupported: []string{"public"}, IDTokenSigningAlgValuesSupported: []string{"RS256"},
	}
	tests := map[string]any{
		`{"issuer":"https://h.example/oauth","authorization_endpoint":"https://h.example/oauth/authorize","token_endpoint":"https://h.example/oauth/token",` +
			`"registration_endpoint":"https://h.example/oauth/register","revocation_endpoint":"https://h.example/oauth/revoke",` +
			`"introspection_endpoint":"https://h.example/oauth/introspect","jwks_uri":"https://h.example/oauth/jwks",` +
			`"scopes_supported":["mcp","offline_access"],"response_types_supported":["code"],"response_modes_supported":["query"],` +
			`"grant_types_supported":["authorization_code","refresh_token"],` +
			`"token_endpoint_auth_methods_supported":["client_secret_post","client_secret_basic","none","private_key_jwt"],` +
			`"token_endpoint_auth_signing_alg_values_supported":["RS256","ES256"],"code_challenge_methods_supported":["S256"],` +
			`"client_id_metadata_document_supported":true,"authorization_response_iss_parameter_supported":true,` +
			`"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]}`: full,
		`{"issuer":"i","authorization_endpoint":"a","token_endpoint":"t","response_types_supported":["code"],"code_challenge_methods_supported":["S256"]}`: AuthorizationServer{
			Issuer: "i", AuthorizationEndpoint: "a", TokenEndpoint: "t", ResponseTypesSupported: []string{"code"}, CodeChallengeMethodsSupported: []string{"S256"},
		},
		`{"resource":"https://h.example/mcp","authorization_servers":["https://h.example/oauth"],"scopes_supported":["mcp"],"bearer_methods_supported":["header"],"resource_name":"N"}`: ProtectedResource{
			Resource: "https://h.example/mcp", AuthorizationServers: []string{"https://h.example/oauth"}, ScopesSupported: Scopes{"mcp"},
			BearerMethodsSupported: []string{"header"}, ResourceName: "N",
		},
		`{"resource":"r"}`: ProtectedResource{Resource: "r"},
	}
	for want, v := range tests {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s, %v\nwant %s", got, err, want)
		}
	}
}

func TestNewRef(t *testing.T) {
	t.Parallel()
	a, b := NewRef(rand.Reader), NewRef(rand.Reader)
	if a == b || !regexp.MustCompile(`\A[0-9a-hjkmnp-tv-z]{16}\z`).MatchString(a) {
		t.Errorf("%q, %q", a, b)
	}
	if got := NewRef(bytes.NewReader([]byte{1})); got != "" {
		t.Errorf("NewRef on a short reader = %q", got)
	}
}

// The short way to the body of an error writes what the long way would.
func TestErrorBody(t *testing.T) {
	t.Parallel()
	texts := []string{"", "plain text.", `"`, `\`, "<", ">", "&", "\n", "\x7f", "é", "\xff", "~ !#[]"}
	for _, code := range texts {
		for _, description := range texts {
			for _, ref := range texts {
				e := wireError{Code: Code(code), Description: description, Ref: ref}
				want, err := json.Marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				if got := e.json(); !bytes.Equal(got, want) {
					t.Errorf("%q, want %q", got, want)
				}
			}
		}
	}
}
