// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// What the emulator knows where Options say nothing else.
const (
	DefaultTenant       = "72f0e5a1-6c3d-4e1b-9a57-0d2c4b8e1f36"
	DefaultDomain       = "contoso.example"
	DefaultClientID     = "3b1d9f04-58c2-4a7e-b6d1-7e20c95af813"
	DefaultClientSecret = "emu8Q~quickstart.only_not-a-real-secret0"
)

// consumerTenant is the tenant of personal Microsoft accounts.
const consumerTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"

// Options describe the tenant and the one application in it.
type Options struct {
	// Addr is where Start listens; default 127.0.0.1 with a free port.
	Addr string
	// BaseURL is scheme and host for New, where somebody else serves.
	BaseURL string
	// Tenant is a GUID, Domain a verified domain of it.
	Tenant, Domain string
	// ClientID and ClientSecret are those of the application.
	ClientID, ClientSecret string
	// RedirectURIs are registered for platform Web. On localhost the port does not count.
	RedirectURIs []string
	// Users can sign in; default DefaultUsers.
	Users []User
	// Lax tolerates parameters that the emulator does not know, as Microsoft does.
	Lax bool
	// Now and Rand default to the system's.
	Now  clock.Func
	Rand io.Reader
}

// Emulator is a tenant of Microsoft Entra ID with one application.
type Emulator struct {
	directory
	o Options

	pendingMu sync.Mutex
	pending   map[string]url.Values // authorization requests whose page is shown
}

// New returns an emulator as a handler; Options.BaseURL says where it is reached.
func New(o Options) *Emulator {
	if o.Tenant == "" {
		o.Tenant = DefaultTenant
	}
	if o.Domain == "" {
		o.Domain = DefaultDomain
	}
	if o.ClientID == "" {
		o.ClientID = DefaultClientID
	}
	if o.ClientSecret == "" {
		o.ClientSecret = DefaultClientSecret
	}
	if o.Users == nil {
		o.Users = DefaultUsers()
	}
	e := &Emulator{o: o, pending: make(map[string]url.Values)}
	e.directory = directory{server: newServer(o.BaseURL, o.Now, o.Rand), users: slices.Clone(o.Users)}
	e.keys = []*signingKey{poolKey(firstKey), poolKey(firstKey + 1)}
	e.handle("GET /{tenant}/v2.0/.well-known/openid-configuration", Metadata, e.serveMetadata)
	e.handle("GET /{tenant}/discovery/v2.0/keys", Keys, e.serveKeys)
	e.handle("GET /{tenant}/oauth2/v2.0/authorize", Authorize, e.serveAuthorize)
	e.handle("POST /{tenant}/login", Page, e.serveChoice)
	e.handle("/{tenant}/oauth2/v2.0/token", Token, e.serveToken)
	return e
}

// Start returns an emulator that listens. The caller closes it.
func Start(o Options) (*Emulator, error) {
	e := New(o)
	if err := e.listen(o.Addr); err != nil {
		return nil, err
	}
	return e, nil
}

// T is what Run needs of a testing.TB.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Run starts an emulator for the time of a test.
func Run(t T, o Options) *Emulator {
	t.Helper()
	e, err := Start(o)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	t.Cleanup(e.Close)
	return e
}

// Tenant, ClientID and ClientSecret are what a client has to be configured with.
func (e *Emulator) Tenant() string { return e.o.Tenant }

// ClientID is the application's id.
func (e *Emulator) ClientID() string { return e.o.ClientID }

// ClientSecret is the application's secret.
func (e *Emulator) ClientSecret() string { return e.o.ClientSecret }

// Register adds a redirect URI to the application.
func (e *Emulator) Register(redirectURI string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.o.RedirectURIs = append(e.o.RedirectURIs, redirectURI)
}

// registered compares exactly and by case; on localhost the port does not count.
func (e *Emulator) registered(redirectURI string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.o.RedirectURIs, func(r string) bool {
		return withoutLocalPort(r) == withoutLocalPort(redirectURI)
	})
}

func withoutLocalPort(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || (u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1") {
		return s
	}
	u.Host = u.Hostname()
	return u.String()
}

// knows tells whether the path's tenant is ours, by id or by domain.
func (e *Emulator) knows(tenant string) bool {
	return strings.EqualFold(tenant, e.o.Tenant) || strings.EqualFold(tenant, e.o.Domain)
}

// issuer is the iss of tokens and the issuer of metadata for one tenant.
func (e *Emulator) issuer(tenant string) string { return e.base + "/" + tenant + "/v2.0" }

// serveMetadata has what Microsoft's document has, and lacks what it lacks:
// code_challenge_methods_supported and registration_endpoint.
func (e *Emulator) serveMetadata(w http.ResponseWriter, r *http.Request) {
	tenant := r.PathValue("tenant")
	shown := e.o.Tenant
	switch {
	case tenant == "common", tenant == "organizations":
		shown = "{tenantid}"
	case tenant == "consumers":
		shown = consumerTenant
	case !e.knows(tenant):
		e.refuse(w, http.StatusBadRequest, "invalid_tenant", 90002, "Tenant was not found.")
		return
	}
	endpoint := e.base + "/" + tenant + "/oauth2/v2.0/"
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                e.issuer(shown),
		"authorization_endpoint":                endpoint + "authorize",
		"token_endpoint":                        endpoint + "token",
		"jwks_uri":                              e.base + "/" + tenant + "/discovery/v2.0/keys",
		"end_session_endpoint":                  endpoint + "logout",
		"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
		"response_modes_supported":              []string{"query", "fragment", "form_post"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic", "self_signed_tls_client_auth"},
		"request_uri_parameter_supported":       false,
	})
}

// serveKeys publishes the keys without alg and with the issuer that each may sign for,
// among them one for personal accounts alone.
func (e *Emulator) serveKeys(w http.ResponseWriter, _ *http.Request) {
	personal := poolKey(personalKey).jwk()
	personal["kid"], personal["issuer"] = "personal-accounts", e.issuer(consumerTenant)
	keys := []map[string]any{personal}
	for _, k := range e.published() {
		j := k.jwk()
		j["issuer"] = e.issuer("{tenantid}")
		keys = append(keys, j)
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": keys})
}

// ForgePersonal makes the key for personal accounts sign the token.
func (*Emulator) ForgePersonal(t *IDToken) {
	k := poolKey(personalKey)
	t.Header["kid"] = "personal-accounts"
	t.Sign = func(input []byte) []byte { return SignRS256(k.private, input) }
}
