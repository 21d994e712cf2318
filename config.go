// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Resource is one protected resource (RFC 9728): an MCP server at a public URL.
type Resource struct {
	// The URL that people paste into their client. HTTPS, except on loopback; no query
	// and no fragment. The path may be `/`. Required. Identifier, `aud` of the JWT and
	// documents keep this spelling.
	URL string `json:"url"`

	// What the consent page calls the resource. Default: the host of its URL.
	Name string `json:"name,omitempty"`

	// The scopes that a token needs to use the resource, all of them. Default: `mcp`.
	Scopes []string `json:"scopes,omitempty"`

	// Origins of web applications that may call the resource from a browser, such as
	// `https://app.example.com`. The resource's own origin and loopback always may.
	// Default: none.
	AllowedOrigins []string `json:"allowed_origins,omitempty"`

	// The `aud` of the JWT that the MCP server gets (RFC 9068 §2.2): an absolute URI, such
	// as `api://payroll`. Servers with the same audience accept each other's JWTs.
	// Default: the URL of the resource.
	Audience string `json:"audience,omitempty"`

	// Clients (by `client`, each with a secret) that may ask at `introspect` what a token of
	// this resource stands for (RFC 7662). Default: none, and then there is no such endpoint.
	Introspect []string `json:"introspect,omitempty"`

	// Headers that tell the MCP server who the person is, beside the JWT. Default: none.
	Forward *Forward `json:"forward,omitempty"`
}

// Forward says which claims the MCP server gets as headers.
type Forward struct {
	// The headers. Each is removed from every request, in every spelling that a server
	// could take for it, before ours is set. At least one is required.
	Header []ForwardHeader `json:"header,omitempty"`
}

// ForwardHeader is a header with the value of one claim. Control characters are dropped;
// `%` and everything outside ASCII are percent-encoded as UTF-8. Roles are joined by commas
// (a comma within one is percent-encoded), scopes by spaces.
type ForwardHeader struct {
	// The name of the header: letters, digits and hyphens. Required.
	Name string `json:"name"`

	// The claim of the JWT: `sub`, `client_id`, `scope`, `name`, `preferred_username`,
	// `email`, `oid`, `tid` or `roles`. A claim that is absent leaves the header absent.
	// Required.
	Claim string `json:"claim"`
}

// Streams bound the answers that stay open: event streams (text/event-stream) and
// connections that were upgraded.
type Streams struct {
	// What a stream ends with at the latest: `session` lets it outlive its access token for
	// as long as the sign-in stands, `token` ends it when that token ends. Default: `session`.
	Until string `json:"until,omitempty"`

	// How long one stream may stay open; 1s to 24h. A client opens the next one and shows
	// its token again. Default: 1h.
	MaxAge Duration `json:"max_age,omitempty"`

	// How many streams one sign-in may have open on one node; 1 to 10000. Beyond that a
	// request that accepts an event stream gets 429. Default: 64.
	PerSession caddyhttp.WeakString `json:"per_session,omitempty"`
}

// Scope declares a scope. It must be reachable: needed by a resource, or implied by a
// scope that is.
type Scope struct {
	// The scope token (RFC 6749 §3.3). Required.
	Name string `json:"name"`

	// What the consent page says that the scope allows. Default: the name.
	Description string `json:"description,omitempty"`

	// Scopes that whoever has this one has too. Default: none.
	Implies []string `json:"implies,omitempty"`
}

// AllowBlock is a list of rules, all of which must hold. In each inner list one value
// must match; a claim that the provider did not state matches nothing.
type AllowBlock struct {
	// People, each by the `sub` of the JWT, by Entra object id, or by e-mail address,
	// which counts only where the provider verified it.
	User [][]string `json:"user,omitempty"`

	// Roles from the ID token, exactly as the provider writes them.
	Role [][]string `json:"role,omitempty"`

	// Domains of verified e-mail addresses, in lower case and exact: `example.com` does
	// not include `dev.example.com`.
	Domain [][]string `json:"domain,omitempty"`
}

// Client is a client that is known beforehand.
type Client struct {
	// The client identifier (RFC 6749 §2.2). It may not look like one that registration
	// makes (`dcr_…`) or like the URL of a metadata document. Required.
	ID string `json:"id"`

	// What the consent page calls the client. Default: the identifier.
	Name string `json:"name,omitempty"`

	// Secrets, any of which authenticates the client, so that one can be replaced by the
	// next. Write placeholders. Default: none, which makes a public client.
	Secret []string `json:"secret,omitempty"`

	// Where answers may go. Compared exactly, but for the port of a loopback address
	// (RFC 8252 §7.3). At least one is required, but for a client that has a secret and
	// that a resource names by `introspect`.
	RedirectURI []string `json:"redirect_uri,omitempty"`
}

// Registration says how clients may register themselves (RFC 7591).
type Registration struct {
	// Turns registration off: no endpoint and no member in the documents. Clients that
	// registered before stay. Default: false.
	Off bool `json:"off,omitempty"`

	// How many new registrations one address (IPv6: one /64) may make. Default: 20 in
	// 1m. A registration that is known already costs nothing.
	Rate *Rate `json:"rate,omitempty"`

	// Exact hosts to which the redirect URIs of a registration may lead. Loopback always
	// may, and schemes of well-known apps such as `cursor:`. Default: any.
	RedirectHosts []string `json:"redirect_hosts,omitempty"`
}

// Rate is a number of events in a window of time.
type Rate struct {
	// How many; 1 to 100000. Required.
	Events caddyhttp.WeakString `json:"events"`

	// In how long a time; 1s to 24h. Required.
	Window Duration `json:"window"`
}

// Login says how pages look.
type Login struct {
	// The heading of the pages. Default: the name of the resource.
	Title string `json:"title,omitempty"`

	// Whom a person may ask when something goes wrong: an e-mail address or an https URL.
	// Default: none.
	Support string `json:"support,omitempty"`
}

// Tokens are the lives of everything that ends by itself, in whole seconds, and how the
// JWT is signed.
type Tokens struct {
	// The life of an access token; 1s to 24h. Some clients refresh five minutes before it
	// ends, so write more than 5m. Default: 1h.
	Access Duration `json:"access,omitempty"`

	// How long a sign-in lasts whatever happens; at most 365d. Default: 90d.
	Refresh Duration `json:"refresh,omitempty"`

	// How long a sign-in lasts without a refresh; 1s to `refresh`.
	// Default: 30d, or `refresh` where that is shorter.
	RefreshIdle Duration `json:"refresh_idle,omitempty"`

	// For how long after a refresh the token before it still gets the same answer, which
	// a client needs that lost the first answer or refreshes twice at once; 0 to 5m.
	// Default: 60s. Later, for up to a day, it gets other tokens as long as nobody has used
	// the answer; any older token ends the sign-in. Zero is strict: every second use of a
	// token ends the sign-in, also after an answer that was lost.
	RefreshGrace Duration `json:"refresh_grace,omitempty"`

	// The life of an authorization code; 1s to 10m (RFC 6749 §4.1.2). Default: 60s.
	Code Duration `json:"code,omitempty"`

	// The life of the JWT that the MCP server receives; 1s to 10m. Default: 5m.
	BackendJWT Duration `json:"backend_jwt,omitempty"`

	// How the JWT is signed: `RS256`, which every library verifies, or `ES256`, which is
	// smaller and quicker to make. A change comes into use a day later; both keys are
	// published meanwhile, and MCP servers have to accept both algorithms by then.
	// Default: `RS256`.
	BackendJWTAlg string `json:"backend_jwt_alg,omitempty"`

	// For how long a node may answer from its memory that a token is good; 0 to 5m.
	// Default: 30s. It bounds how long a revocation on another node takes to be seen.
	GuardCache Duration `json:"guard_cache,omitempty"`

	// For how long after its last yes plus `access` a provider that cannot be asked does
	// not end a sign-in; 0 to 7d. Default: 4h. A definite no always ends it.
	ProviderOutage Duration `json:"provider_outage,omitempty"`
}

// Duration is a length of time as it is written, such as `90s`, `1h30m` or `30d`, or a
// placeholder for it. In JSON a number counts nanoseconds, as everywhere in Caddy.
type Duration string

// UnmarshalJSON accepts a string or a number of nanoseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(d))
	}
	var n time.Duration
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("a duration is a text such as \"1h\" or a number of nanoseconds: %w", err)
	}
	*d = Duration(n.String())
	return nil
}
