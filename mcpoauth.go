// SPDX-License-Identifier: Apache-2.0

// Package mcpoauth is the Caddy module http.handlers.mcp_oauth: it turns any MCP server
// behind reverse_proxy into one that every MCP client can connect to with the sign-in
// that a company already has.
//
// Towards the client the handler is an OAuth 2.1 authorization server: discovery,
// dynamic registration, a consent page, tokens. Towards the provider (Microsoft Entra ID
// or any OpenID Connect provider) it is one ordinary web application. Towards the MCP
// server it is the guard in front of the proxy: it lets a request through only with a
// token that was made for this very resource, and hands over a short-lived JWT instead
// of it.
//
// This package is the only adapter to Caddy. It reads the configuration, resolves it
// once into a policy, and connects the rooms under internal/, which know nothing of
// Caddy.
package mcpoauth

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"

	// Stores and providers that the default build has.
	_ "github.com/mcpoauth/caddy-mcp-oauth/provider/entra"
	_ "github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
	_ "github.com/mcpoauth/caddy-mcp-oauth/store/file"
	_ "github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	_ "github.com/mcpoauth/caddy-mcp-oauth/store/redis"
)

// Handler protects MCP servers with OAuth 2.1 and signs people in with a provider that
// they already have.
//
// Put it at the level of the site, beside `reverse_proxy`, never inside a `handle` that
// has a path: its endpoints and the documents under `/.well-known/` have to be reached
// as well as the resource.
//
// Every text, number and duration may contain the placeholders `{env.NAME}` and
// `{file.PATH}`; any other brace is an error. They are resolved when the configuration
// is loaded and never written back, so `/config/` and logs show the placeholder. Write
// secrets only as placeholders.
type Handler struct {
	// The issuer identifier (RFC 8414): the public URL under which the authorization
	// server lives, without a trailing slash, query or fragment. HTTPS, except on
	// loopback. It may be a bare origin. Default: the origin of the first resource,
	// followed by `/oauth`. It is never derived from a request.
	Issuer string `json:"issuer,omitempty"`

	// The resources to guard, at least one. A site guards those of its hosts; sites that
	// share an issuer all list all of its resources.
	Resource []Resource `json:"resource,omitempty"`

	// The sign-in behind this server: `entra` or `oidc`. Required.
	ProviderRaw json.RawMessage `json:"provider,omitempty" caddy:"namespace=http.mcp_oauth.providers inline_key=module"`

	// Where registrations, grants and keys are kept, always sealed. Default: `file`, which
	// survives restarts and serves one process; `redis` serves several.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=http.mcp_oauth.stores inline_key=module"`

	// The master keys, each 32 random bytes in base64. The first seals, all of them open,
	// so a key is replaced by putting the new one in front. Default: a key that is made
	// once beside the file store, or one that lasts as long as the memory store.
	EncryptionKey []string `json:"encryption_key,omitempty"`

	// Scopes with a description or with implied scopes. A scope that only guards a
	// resource does not have to be declared.
	Scope []Scope `json:"scope,omitempty"`

	// Who may sign in: one of the blocks must hold. Default: everyone whom the provider
	// signs in.
	Allow []AllowBlock `json:"allow,omitempty"`

	// Clients that are known beforehand and do not have to register.
	Client []Client `json:"client,omitempty"`

	// How clients may register themselves (RFC 7591). Default: anyone may, 20 times a
	// minute from one address.
	Registration *Registration `json:"registration,omitempty"`

	// How the consent page and the error pages look.
	Login *Login `json:"login,omitempty"`

	// How long everything lives that ends by itself.
	Tokens *Tokens `json:"tokens,omitempty"`

	// How long and how many answers may stay open.
	Streams *Streams `json:"streams,omitempty"`

	instance *instance
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mcp_oauth",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Interface guards
var _ caddy.Module = (*Handler)(nil)
