// SPDX-License-Identifier: Apache-2.0

// Package guard lets a request through to a protected resource, or says in the standard
// way why not: it takes the bearer token (RFC 6750), looks up what it stands for, checks
// resource, policy and scopes, and replaces the token by a JWT made for the backend. On
// the way back it keeps the backend from speaking for the authorization server.
package guard

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// DefaultMaxEntries bounds the cache where Config.MaxEntries is zero.
const DefaultMaxEntries = 100_000

// Lookup finds what an access token stands for. A definite no is an *oauth.Error with
// the code invalid_token; any other error says nothing about the token.
type Lookup interface {
	Access(ctx context.Context, token string) (*Access, error)
}

// Access is what a valid access token stands for. It is shared between requests and must
// not be changed.
type Access struct {
	Grant    [16]byte
	Client   string
	Person   provider.Person
	Resource string
	Scopes   oauth.Scopes
	// Expires is when the access token ends.
	Expires time.Time
}

// MintFunc makes the JWT that the backend of a resource gets instead of the token, and
// says when it ends. Every error is an unknown outcome.
type MintFunc func(ctx context.Context, a *Access, p *policy.Policy, r *policy.Resource) (jwt string, expires time.Time, err error)

// Config is what a Guard needs.
type Config struct {
	// Grants and Mint are required; without them the guard answers 503.
	Grants Lookup
	Mint   MintFunc
	// Now is the clock; required.
	Now clock.Func
	// MaxEntries bounds the cache, about; zero means DefaultMaxEntries.
	MaxEntries int
	// Events takes what happens; nil drops it.
	Events event.Sink
}

// Guard guards the resources of one site. Its methods may be called concurrently. The
// zero Guard lets nobody through.
type Guard struct {
	config  Config
	cache   *cache
	flights singleflight.Group
	streams Streams
}

// New returns a Guard.
func New(c Config) *Guard {
	if c.MaxEntries <= 0 {
		c.MaxEntries = DefaultMaxEntries
	}
	if c.Events == nil {
		c.Events = event.Discard{}
	}
	return &Guard{config: c, cache: newCache(c.MaxEntries)}
}

// Request is a request to a guarded resource.
type Request struct {
	HTTP     *http.Request
	Policy   *policy.Policy
	Resource *policy.Resource
	// Slash tells that the path is the resource's with a slash at the end.
	Slash bool
	// EarlyData tells that the request came before the TLS handshake was complete and
	// could be a replay (RFC 8470). The header Early-Data says the same and is always
	// believed: who sets it can only slow itself down.
	EarlyData bool
}

var errUnset = errors.New("the guard is not set up")

// Admit decides about a request. The three outcomes: a Pass; a definite no, which wraps
// an *oauth.Error; any other error is unknown and says nothing about the token. Refuse
// writes the answer for both kinds of error.
func (g *Guard) Admit(ctx context.Context, req Request) (*Pass, error) {
	if g == nil || g.config.Grants == nil || g.config.Mint == nil || g.config.Now == nil ||
		req.HTTP == nil || req.Policy == nil || req.Resource == nil {
		return nil, errUnset
	}
	if err := screen(req); err != nil {
		return nil, err
	}
	token, err := bearer(req.HTTP.Header)
	if err != nil {
		return nil, err
	}
	k := key{token: hash(token), resource: req.Resource.URL, policy: req.Policy.Fingerprint}
	e := g.cache.get(k)
	if e == nil || !e.ready(g.config.Now()) {
		if e, err = g.renew(ctx, req, k, token); err != nil {
			return nil, err
		}
	}
	return &Pass{
		Access: e.access, Resource: req.Resource,
		authorization: e.authorization, origin: req.HTTP.Header.Get("Origin"), guard: g,
	}, nil
}

// hash copies through the stack, which has room for every token of ours.
func hash(token string) [32]byte {
	var buf [128]byte
	return sha256.Sum256(append(buf[:0], token...))
}

// screen refuses what no token could make good.
func screen(req Request) error {
	// MCP transports: "Servers MUST validate the Origin header on all incoming connections
	// to prevent DNS rebinding attacks".
	if err := CheckOrigin(req.HTTP, req.Resource); err != nil {
		return err
	}
	if req.early() {
		return errEarlyData
	}
	if req.HTTP.URL == nil || req.HTTP.URL.RawQuery == "" {
		return nil
	}
	// A query that parsers read differently could hide a parameter from one of them.
	query, err := url.ParseQuery(req.HTTP.URL.RawQuery)
	if err != nil {
		return errQuery
	}
	// MCP authorization: "Access tokens MUST NOT be included in the URI query string".
	if query.Has("access_token") {
		return errTokenInQuery
	}
	return nil
}

// early tells whether an unsafe request could be a replay. RFC 8470 §3: safe methods may
// be processed in early data, others are left to the server to refuse with 425.
func (req Request) early() bool {
	switch req.HTTP.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return req.EarlyData || req.HTTP.Header.Get("Early-Data") == "1" ||
		req.HTTP.TLS != nil && !req.HTTP.TLS.HandshakeComplete
}

// Evict forgets everything about a grant that has changed or ended: whoever asks after
// Evict returns is answered from the store.
func (g *Guard) Evict(grant [16]byte) { g.cache.evict(grant) }

// Sweep forgets entries that serve nobody any more; the site's maintenance calls it.
func (g *Guard) Sweep() { g.cache.sweep(g.config.Now()) }

// Len is the number of cached entries, for metrics.
func (g *Guard) Len() int { return g.cache.len() }

// Streams is the registry of open streams.
func (g *Guard) Streams() *Streams { return &g.streams }
