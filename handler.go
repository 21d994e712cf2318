// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/authserver"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/route"
)

var (
	errNotProvisioned = oauth.Unavailable(errors.New("the configuration of this handler is gone or incomplete"))
	errMisdirected    = oauth.New(oauth.InvalidRequest, "This host does not serve the resource.").WithStatus(http.StatusMisdirectedRequest)
	errBadPath        = oauth.New(oauth.InvalidRequest, "The path is not in its simplest form.")
)

// ServeHTTP decides whose request it is and answers it or lets it through. It returns no
// error of its own: an error route could otherwise proxy what was refused.
//
// What it needs to decide is gone from the stack when the next handler runs, since a
// stream keeps its stack for as long as it is open.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	in := h.instance
	if !in.usable() {
		// Nobody can tell any more what the query holds, or write it down without.
		caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
		oauth.WriteError(w, errNotProvisioned, "")
		return nil
	}
	pass, answered := in.decide(w, r)
	switch {
	case answered:
		return nil
	case pass == nil:
		return next.ServeHTTP(w, r)
	default:
		return serveUntilCut(pass, next, w, r)
	}
}

// decide answers a request, or says that it may go on: with a Pass to a resource, without
// one to whatever else the site has.
//
//go:noinline
func (in *instance) decide(w http.ResponseWriter, r *http.Request) (pass *guard.Pass, answered bool) {
	dropH2C(r)
	clearResource(r)
	original, rewritten := paths(r)
	to := in.table.Route(in.matchHost(r), original, rewritten)
	if to.Kind == route.Next {
		in.stripForwarded(r)
		return nil, false
	}
	repl := replacerOf(r)
	clearUser(repl)
	switch to.Kind {
	case route.Guarded:
		pass = in.guarded(w, r, repl, to)
		return pass, pass == nil
	case route.Document, route.Endpoint, route.NotFound:
		in.answer(w, r, to)
	case route.Misdirected:
		in.misdirected.Do(func() {
			in.log.Warn("a request came to a host that has no resource: is the resource's URL in the configuration the one that people use, port included?",
				"host", r.Host, "resource", in.policy.Resources[0].URL)
		})
		in.refuse(w, r, errMisdirected)
	case route.BadPath:
		in.refuse(w, r, errBadPath)
	default:
		in.refuse(w, r, errNotProvisioned)
	}
	return nil, true
}

// answer serves the authorization server.
func (in *instance) answer(w http.ResponseWriter, r *http.Request, to route.Route) {
	c := authserver.Call{Endpoint: to.Endpoint, Address: clientAddress(r), Ref: newRef()}
	w, done := in.logHere(w, r, c.Ref)
	defer done()
	if !in.site.uses.acquire() {
		oauth.WriteError(w, errNotProvisioned, c.Ref)
		return
	}
	defer in.site.uses.done()
	switch {
	case to.Kind == route.NotFound:
		in.server.NoDocument(w, r, c)
	case to.Kind == route.Document && to.Document == route.ASMetadata:
		in.server.ServerMetadata(w, r, c)
	case to.Kind == route.Document && to.Document == route.ProtectedResource:
		in.server.ResourceMetadata(w, r, c, to.Resource, to.Slash)
	case oauth.EarlyData(r):
		// Also a GET: the callback's takes a login to its end.
		in.logRefusal(r, oauth.ErrEarlyData, c.Ref)
		oauth.WriteError(w, oauth.ErrEarlyData, c.Ref)
	default:
		in.server.Serve(w, r, c)
	}
}

// refuse answers what is nobody's, in the form that programs read.
func (in *instance) refuse(w http.ResponseWriter, r *http.Request, err error) {
	ref := newRef()
	w, done := in.logRefused(w, r, err, ref)
	defer done()
	oauth.WriteError(w, err, ref)
}

func newRef() string { return oauth.NewRef(rand.Reader) }

// dropH2C removes the request to go on with HTTP/2 in the clear. RFC 9113 §3.1 has ended
// that upgrade, and a backend that still obeys it would serve the rest of the connection
// past every guard.
func dropH2C(r *http.Request) {
	for _, v := range r.Header["Upgrade"] {
		for protocol := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "h2c") {
				r.Header.Del("Upgrade")
				r.Header.Del("HTTP2-Settings")
				return
			}
		}
	}
}

// paths are the path as the client sent it, and what rewrites have made of it.
func paths(r *http.Request) (original, rewritten string) {
	rewritten = r.URL.EscapedPath()
	o, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || o.URL == nil || o.URL.Path == r.URL.Path && o.URL.RawPath == r.URL.RawPath {
		return rewritten, rewritten
	}
	return o.URL.EscapedPath(), rewritten
}

func originalPath(r *http.Request) string {
	original, _ := paths(r)
	return original
}

// matchHost is the host by which the request is matched. A trusted proxy that sends a
// host of its own may say in one X-Forwarded-Host which one was meant; a host of ours
// needs no such help, so a proxy that merely passes a client's header on changes nothing.
// For output there is only configuration.
func (in *instance) matchHost(r *http.Request) string {
	f := r.Header["X-Forwarded-Host"]
	if len(f) != 1 || f[0] == "" || strings.Contains(f[0], ",") || in.table.Knows(r.Host) {
		return r.Host
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		return f[0]
	}
	return r.Host
}

// clientAddress is the client's address as far as the web server trusts it.
func clientAddress(r *http.Request) netip.Addr {
	s, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if a, err := netip.ParseAddr(s); err == nil {
		return a
	}
	p, _ := netip.ParseAddrPort(r.RemoteAddr)
	return p.Addr()
}

// Interface guard
var _ caddyhttp.MiddlewareHandler = (*Handler)(nil)
