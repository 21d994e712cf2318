// SPDX-License-Identifier: Apache-2.0

// Package authserver is the authorization server as HTTP: one file per endpoint. It
// turns requests into calls of the domain packages and their answers into documents,
// redirects and pages. It never derives a URL from a request: the issuer is
// configuration, and everything it prints begins with it.
package authserver

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/pages"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// State is what all servers of one issuer share.
type State struct {
	Vault   *vault.Vault
	Clients *clients.Registry
	Grants  *grants.Service
	Limits  *Limits
}

// Config is what a Server needs; every field is required.
type Config struct {
	// State opens the shared state, or says why it cannot be reached now. The documents
	// are served without it.
	State  func(context.Context) (*State, error)
	Events event.Sink
	Log    *slog.Logger
	Now    clock.Func
	Rand   io.Reader

	Policy   *policy.Policy
	Rules    clients.Rules
	Provider provider.Provider
	Pages    *pages.Pages
}

// Server answers the endpoints of one issuer under one configuration.
type Server struct {
	Config
	site      seal.Site
	origin    string // of the issuer, as browsers print it
	https     bool
	documents map[string]document
}

// New returns a Server. It fails only on a policy that the configuration checks should
// have refused.
func New(c Config) (*Server, error) {
	u, err := url.Parse(c.Policy.Issuer)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Config: c, site: seal.SiteOf(c.Policy.Issuer),
		origin: u.Scheme + "://" + strings.ToLower(u.Host), https: u.Scheme == "https",
	}
	return s, s.buildDocuments()
}

// Call is one request to an endpoint.
type Call struct {
	// Endpoint is its path below the issuer, such as "login/continue".
	Endpoint string
	// Address is the client's, as far as trusted proxies vouch for it.
	Address netip.Addr
	// Ref is the reference id that errors show and the log repeats.
	Ref string
}

// active is a Server with its state at hand: what an endpoint works with.
type active struct {
	*Server
	*State
}

type endpoint struct {
	serve   func(*active, http.ResponseWriter, *http.Request, Call)
	methods []string
	// program is set for endpoints that programs call: their refusals are JSON.
	program bool
	// cors is set for endpoints that scripts of any origin may call, never with
	// credentials; browser pages have none, and what takes the secret of a server neither.
	cors bool
}

var endpoints = map[string]endpoint{
	"register":       {(*active).register, []string{http.MethodPost}, true, true},
	"authorize":      {(*active).authorize, []string{http.MethodGet, http.MethodHead, http.MethodPost}, false, false},
	"login":          {(*active).login, []string{http.MethodGet, http.MethodHead}, false, false},
	"login/continue": {(*active).consent, []string{http.MethodPost}, false, false},
	"callback":       {(*active).callback, []string{http.MethodGet}, false, false},
	"token":          {(*active).token, []string{http.MethodPost}, true, true},
	"revoke":         {(*active).revoke, []string{http.MethodPost}, true, true},
	introspect:       {(*active).introspect, []string{http.MethodPost}, true, false},
	"jwks":           {(*active).jwks, []string{http.MethodGet, http.MethodHead}, true, true},
}

// introspect is an endpoint only where somebody may use it.
const introspect = "introspect"

// Serve answers one request. It always answers itself: an error route of the web server
// never sees an OAuth endpoint.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, c Call) {
	s.harden(w.Header())
	r = r.WithContext(event.WithOrigin(r.Context(), c.origin(r)))
	defer limitBody(w, r)()
	e, ok := endpoints[c.Endpoint]
	if !ok || c.Endpoint == introspect && !s.Policy.Introspection() {
		s.fail(w, r, c, errNoEndpoint)
		return
	}
	if e.cors {
		allowAnyOrigin(w.Header())
		if r.Method == http.MethodOptions {
			preflight(w, r, e.methods)
			return
		}
	}
	if !slices.Contains(e.methods, r.Method) {
		s.methodNotAllowed(w, r, c, e)
		return
	}
	state, err := s.State(r.Context())
	if err != nil {
		s.stateless(w, r, c, e, err)
		return
	}
	e.serve(&active{Server: s, State: state}, w, r, c)
}

// origin is what events of the call have in common.
func (c Call) origin(r *http.Request) event.Origin {
	o := event.Origin{Agent: r.UserAgent(), Ref: c.Ref}
	if c.Address.IsValid() {
		o.Address = c.Address.String()
	}
	return o
}

// emit emits an event of a call.
func (s *Server) emit(ctx context.Context, e event.Event) { s.Events.Emit(ctx, event.Complete(ctx, e)) }
