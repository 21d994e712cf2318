// SPDX-License-Identifier: Apache-2.0

// Package guard lets a request through to a protected resource, or says in the standard
// way why not: it takes the bearer token (RFC 6750), looks up what it stands for, checks
// resource, policy and scopes, and replaces the token by a JWT made for the backend. On
// the way back it keeps the backend from speaking for the authorization server, and it
// ends answers that stay open when their sign-in ends.
package guard

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
)

// DefaultMaxEntries bounds the cache where Config.MaxEntries is zero.
const DefaultMaxEntries = 100_000

// Config is what a Guard needs.
type Config struct {
	// Grants and Mint are required; without them the guard answers 503.
	Grants Lookup
	Mint   MintFunc
	// Verifier asks the provider about sign-ins that are being used; nil asks nobody.
	Verifier Verifier
	// Now is the clock; required.
	Now clock.Func
	// MaxEntries bounds the cache; zero means DefaultMaxEntries.
	MaxEntries int
	// Events takes what happens; nil drops it.
	Events event.Sink
	// Stats counts; nil counts for nobody.
	Stats *Stats
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
	if c.Stats == nil {
		c.Stats = new(Stats)
	}
	return &Guard{config: c, cache: newCache(c.MaxEntries), streams: Streams{now: c.Now}}
}

// Request is a request to a guarded resource.
type Request struct {
	HTTP   *http.Request
	Target *Target
	// Slash tells that the path is the resource's with a slash at the end.
	Slash bool
	// Began is when the guard began to look at the request.
	Began time.Time
	// Origin says where the request came from, for events; nil says nothing. It is called
	// only for a token that was made here.
	Origin func(*http.Request) event.Origin
}

// Question is what a request asks that the memory of this node cannot answer.
type Question struct {
	req   Request
	key   key
	token string
}

var errUnset = errors.New("the guard is not set up")

// Known decides about a request without asking anybody: it returns a Pass where the
// memory of this node has a yes, and otherwise neither Pass nor error, but the Question
// for Ask. A definite no about the request itself is an error as in Admit.
func (g *Guard) Known(req Request) (*Pass, Question, error) {
	if !g.complete(req) {
		return nil, Question{}, errUnset
	}
	token, err := screen(req)
	if err != nil {
		return nil, Question{}, err
	}
	q := Question{req: req, key: key{token: hash(token), realm: req.Target.realm}, token: token}
	e := g.cache.get(q.key)
	if e == nil || !e.ready(req.Began.UnixNano()) {
		return nil, q, nil
	}
	pass, err := g.pass(req, e, token)
	return pass, Question{}, err
}

// Ask answers a Question of Known; the outcomes are those of Admit.
func (g *Guard) Ask(ctx context.Context, q Question) (*Pass, error) {
	e, err := g.renew(ctx, q)
	if err != nil {
		return nil, err
	}
	return g.pass(q.req, e, q.token)
}

// Admit decides about a request. The three outcomes: a Pass; a definite no, which wraps
// an *oauth.Error; any other error is unknown and says nothing about the token. Refuse
// writes the answer for both kinds of error.
func (g *Guard) Admit(ctx context.Context, req Request) (*Pass, error) {
	pass, q, err := g.Known(req)
	if pass != nil || err != nil {
		return pass, err
	}
	return g.Ask(ctx, q)
}

func (g *Guard) complete(req Request) bool {
	return g != nil && g.config.Grants != nil && g.config.Mint != nil && g.config.Now != nil &&
		req.HTTP != nil && req.Target != nil && !req.Began.IsZero()
}

// hash copies through the stack, which has room for every token of ours.
func hash(token string) [32]byte {
	var buf [128]byte
	return sha256.Sum256(append(buf[:0], token...))
}

// Changed says that a grant has changed or ended: whoever asks after Changed returns is
// answered from the store, and the grant's open streams are looked at soon. record is the
// name of the grant in the store.
func (g *Guard) Changed(record [32]byte) {
	g.cache.evict(record)
	g.streams.suspect(record)
}

// ChangedAll is Changed for every grant: changes may have been missed.
func (g *Guard) ChangedAll() {
	g.cache.clear()
	g.streams.suspectAll()
}

// Sweep forgets entries that serve nobody any more; the site's maintenance calls it.
func (g *Guard) Sweep() { g.cache.sweep(g.config.Now().UnixNano()) }

// Len is the number of cached entries, for metrics.
func (g *Guard) Len() int { return g.cache.len() }

// Streams is the registry of open streams.
func (g *Guard) Streams() *Streams { return &g.streams }
