// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// OpenIDOptions describe an OpenID provider with one client.
type OpenIDOptions struct {
	// Addr is where StartOpenID listens; default 127.0.0.1 with a free port.
	Addr string
	// ClientID and ClientSecret default to "mcp" and "openid-test-secret".
	ClientID, ClientSecret string
	// AuthMethods is token_endpoint_auth_methods_supported; nil leaves the member out.
	// The provider accepts nothing else.
	AuthMethods []string
	// Prompts is prompt_values_supported.
	Prompts []string
	// Users can sign in; default DefaultUsers.
	Users []User
	// ThinIDToken keeps the claims of the scopes out of ID tokens; the userinfo endpoint
	// has them (OpenID Connect Core §5.4).
	ThinIDToken bool
	// Document, where set, changes the discovery document.
	Document func(map[string]any)
	// KeySet, where set, changes the published keys.
	KeySet func([]map[string]any) []map[string]any
	// Now and Rand default to the system's.
	Now  clock.Func
	Rand io.Reader
}

// OpenID is a small provider that keeps OpenID Connect Core. It signs in the user of
// SignInAs, or its first, without a page.
type OpenID struct {
	directory
	o      OpenIDOptions
	access sync.Map // access token → User
}

// StartOpenID returns a provider that listens. The caller closes it.
func StartOpenID(o OpenIDOptions) (*OpenID, error) {
	if o.ClientID == "" {
		o.ClientID = "mcp"
	}
	if o.ClientSecret == "" {
		o.ClientSecret = "openid-test-secret"
	}
	if o.Users == nil {
		o.Users = DefaultUsers()
	}
	p := &OpenID{o: o, directory: directory{server: newServer("", o.Now, o.Rand), users: slices.Clone(o.Users)}}
	p.keys = []*signingKey{poolKey(firstKey)}
	p.handle("GET /.well-known/openid-configuration", Metadata, p.serveMetadata)
	p.handle("GET /keys", Keys, p.serveKeys)
	p.handle("GET /authorize", Authorize, p.serveAuthorize)
	p.handle("POST /token", Token, p.serveToken)
	p.handle("GET /userinfo", UserInfo, p.serveUserInfo)
	if err := p.listen(o.Addr); err != nil {
		return nil, err
	}
	return p, nil
}

// RunOpenID starts a provider for the time of a test.
func RunOpenID(t T, o OpenIDOptions) *OpenID {
	t.Helper()
	p, err := StartOpenID(o)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	t.Cleanup(p.Close)
	return p
}

// ClientID is the client's id.
func (p *OpenID) ClientID() string { return p.o.ClientID }

// ClientSecret is the client's secret.
func (p *OpenID) ClientSecret() string { return p.o.ClientSecret }

func (p *OpenID) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	document := map[string]any{
		"issuer":                                p.base,
		"authorization_endpoint":                p.base + "/authorize",
		"token_endpoint":                        p.base + "/token",
		"jwks_uri":                              p.base + "/keys",
		"userinfo_endpoint":                     p.base + "/userinfo",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256"},
	}
	if p.o.AuthMethods != nil {
		document["token_endpoint_auth_methods_supported"] = p.o.AuthMethods
	}
	if p.o.Prompts != nil {
		document["prompt_values_supported"] = p.o.Prompts
	}
	if p.o.Document != nil {
		p.o.Document(document)
	}
	writeJSON(w, http.StatusOK, document)
}

func (p *OpenID) serveKeys(w http.ResponseWriter, _ *http.Request) {
	var keys []map[string]any
	for _, k := range p.published() {
		j := k.jwk()
		j["alg"] = "RS256"
		keys = append(keys, j)
	}
	if p.o.KeySet != nil {
		keys = p.o.KeySet(keys)
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": keys})
}

func (p *OpenID) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.mu.Lock()
	name := p.auto
	p.mu.Unlock()
	if name == "" {
		name = p.list()[0].Username
	}
	u, ok := p.user(name)
	if q.Get("client_id") != p.o.ClientID || q.Get("redirect_uri") == "" || !ok {
		http.Error(w, "unknown client, redirect URI or user", http.StatusBadRequest)
		return
	}
	answer := url.Values{"state": {q.Get("state")}}
	scopes := strings.Fields(q.Get("scope"))
	switch {
	case q.Has("resource"), q.Get("response_type") != "code", !slices.Contains(scopes, "openid"):
		answer.Set("error", "invalid_request")
	case u.Disabled:
		answer.Set("error", "access_denied")
	default:
		answer.Set("code", p.issue(&grant{
			kind: "code", user: u, scopes: scopes, redirectURI: q.Get("redirect_uri"), nonce: q.Get("nonce"),
			challenge: q.Get("code_challenge"), method: q.Get("code_challenge_method"), authTime: p.now(),
		}))
	}
	redirectBack(w, r, q.Get("redirect_uri"), answer)
}

func (p *OpenID) serveToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || !p.authentic(r) {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	f := r.PostForm
	kind, token := "code", f.Get("code")
	if f.Get("grant_type") == "refresh_token" {
		kind, token = "refresh", f.Get("refresh_token")
	}
	g, ok := p.find(kind, token)
	u, _ := p.user(g.user.Username)
	switch {
	case !ok, u.Disabled, p.isRevoked(g),
		kind == "code" && (g.redirectURI != f.Get("redirect_uri") || !g.verifierFits(f.Get("code_verifier")) || !p.spend(token)),
		kind == "code" && !p.now().Before(g.issued.Add(codeLife)):
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "refused for " + u.Email})
		return
	}
	g.user = u
	p.answer(w, g)
}

// authentic accepts the announced methods alone; without any it is client_secret_basic
// (OpenID Connect Discovery §3).
func (p *OpenID) authentic(r *http.Request) bool {
	methods := p.o.AuthMethods
	if methods == nil {
		methods = []string{"client_secret_basic"}
	}
	method, id, secret := "client_secret_post", r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		method = "client_secret_basic"
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	return slices.Contains(methods, method) && id == p.o.ClientID &&
		subtle.ConstantTimeCompare([]byte(secret), []byte(p.o.ClientSecret)) == 1
}

func (p *OpenID) answer(w http.ResponseWriter, g grant) {
	access := p.random(32)
	p.access.Store(access, g.user)
	body := map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": access, "id_token": p.sign(p.claims(g, access))}
	p.mu.Lock()
	without := p.noToken
	p.mu.Unlock()
	if slices.Contains(g.scopes, "offline_access") && !without {
		next := g
		next.kind, next.used, next.nonce = "refresh", false, ""
		body["refresh_token"] = p.issue(&next)
	}
	writeJSON(w, http.StatusOK, body)
}

func (p *OpenID) claims(g grant, accessToken string) map[string]any {
	now := p.now()
	half := sha256.Sum256([]byte(accessToken))
	c := map[string]any{
		"iss": p.base, "aud": p.o.ClientID, "azp": p.o.ClientID, "sub": g.user.ObjectID,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "auth_time": g.authTime.Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(half[:16]),
	}
	if g.nonce != "" {
		c["nonce"] = g.nonce
	}
	if !p.o.ThinIDToken {
		maps.Copy(c, profile(g.user))
	}
	return c
}

// profile are the claims that scopes ask for (OpenID Connect Core §5.4).
func profile(u User) map[string]any {
	c := map[string]any{
		"name": u.Name, "preferred_username": u.Username, "email": u.Email, "email_verified": u.DomainVerified,
	}
	if u.Roles != nil {
		c["roles"] = u.Roles
	}
	if u.Groups != nil {
		c["groups"] = u.Groups
	}
	return c
}

// serveUserInfo answers for the person of an access token (§5.3).
func (p *OpenID) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	u, ok := p.access.Load(token)
	if !ok {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	c := profile(u.(User))
	c["sub"] = u.(User).ObjectID
	writeJSON(w, http.StatusOK, c)
}
