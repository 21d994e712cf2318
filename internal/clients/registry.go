// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Config is what a Registry needs of its site; all fields are required.
type Config struct {
	Vault  *vault.Vault
	Rand   io.Reader
	Now    clock.Func
	Events event.Sink
}

// Registry is the clients of one issuer. It is safe for concurrent use.
type Registry struct {
	vault  *vault.Vault
	rand   io.Reader
	now    clock.Func
	events event.Sink
	limits *limiter
}

// New returns a Registry.
func New(c Config) *Registry {
	return &Registry{vault: c.Vault, rand: c.Rand, now: c.Now, events: c.Events, limits: newLimiter(c.Now)}
}

// Rules are what the configuration of one handler says about clients. The Registry
// outlives configurations, so they come with every call.
type Rules struct {
	// Static are the clients that the administrator named.
	Static []Static
	// RedirectHosts, unless empty, are the only hosts that an https redirect URI of a
	// registered client may have: exact names, with port where it is not 443.
	RedirectHosts []string
	// RegistrationOff refuses new registrations; clients that exist stay.
	RegistrationOff bool
	// Rate is how many new registrations one address may make per Window; 0 means
	// DefaultRate. Window 0 means DefaultWindow.
	Rate   int
	Window time.Duration
	// Scopes are those that a client may register for.
	Scopes oauth.Scopes
}

// acceptsRedirect tells whether a registered client may have the redirect URI. A list of
// hosts says to whom answers may go: programs on the person's own device always may, and
// an app's own scheme only where the app is known, since any app may claim any scheme.
func (r Rules) acceptsRedirect(uri string) bool {
	scheme, host := oauth.RedirectHost(uri)
	switch {
	case scheme == "":
		return false
	case len(r.RedirectHosts) == 0 || oauth.IsLoopbackRedirect(uri):
		return true
	case scheme == "https":
		return r.listsHost(host)
	default:
		return WellKnown(uri) != ""
	}
}

// listsHost compares whole hosts, never parts of them.
func (r Rules) listsHost(host string) bool {
	return slices.ContainsFunc(r.RedirectHosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// errUnknownClient is 401 invalid_client, upon which clients register again and recover.
var errUnknownClient = oauth.New(oauth.InvalidClient, "The client is not known here, or its registration has expired.")

// Find returns the client with the id: a static one, else a registered one. An unknown
// client is an *oauth.Error with invalid_client; any other error means that it could not
// be found out.
func (g *Registry) Find(ctx context.Context, rules Rules, id string) (*Client, error) {
	i := slices.IndexFunc(rules.Static, func(s Static) bool { return s.ID == id })
	if i >= 0 && id != "" {
		return rules.Static[i].client(), nil
	}
	if !isDynamicID(id) {
		return nil, errUnknownClient
	}
	rec, err := vault.Get(ctx, g.vault, Kind, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errUnknownClient.WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	return rec.Value.client(id, rules, rec), nil
}
