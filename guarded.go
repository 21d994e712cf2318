// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/authserver"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/route"
)

// targetsOf prepares the resources of a policy for the guard.
func targetsOf(p *policy.Policy) map[*policy.Resource]*guard.Target {
	out := make(map[*policy.Resource]*guard.Target, len(p.Resources))
	for _, r := range p.Resources {
		out[r] = guard.NewTarget(p, r)
	}
	return out
}

// guarded prepares a request with a good token, with a JWT in its place, and returns its
// Pass. Every other request it answers.
func (in *instance) guarded(w http.ResponseWriter, r *http.Request, repl *caddy.Replacer, to route.Route) *guard.Pass {
	if guard.Preflight(w, r, to.Resource) {
		return nil
	}
	req := guard.Request{HTTP: r, Target: in.targets[to.Resource], Slash: to.Slash, Began: clock.System(), Origin: requestOrigin}
	g, pass, err := in.admit(r.Context(), req)
	if err != nil {
		in.refusedByGuard(w, r, g, req, err)
		return nil
	}
	in.setUser(r, repl, pass)
	pass.Apply(r)
	return pass
}

// admit asks the memory of this node first, which holds nothing that could be taken from
// under it. Whoever asks the store holds the site meanwhile, and not longer: an answer may
// last for hours. The guard may be nil when there is none yet.
func (in *instance) admit(ctx context.Context, req guard.Request) (*guard.Guard, *guard.Pass, error) {
	sv := in.site.services.Load()
	if sv == nil {
		return in.admitFirst(ctx, req)
	}
	pass, question, err := sv.guard.Known(req)
	if pass != nil || err != nil {
		return sv.guard, pass, err
	}
	if !in.site.uses.acquire() {
		return nil, nil, errNotProvisioned
	}
	defer in.site.uses.done()
	pass, err = sv.guard.Ask(ctx, question)
	return sv.guard, pass, err
}

// admitFirst is admit while the site is not open.
func (in *instance) admitFirst(ctx context.Context, req guard.Request) (*guard.Guard, *guard.Pass, error) {
	if !in.site.uses.acquire() {
		return nil, nil, errNotProvisioned
	}
	defer in.site.uses.done()
	sv, err := in.site.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	pass, err := sv.guard.Admit(ctx, req)
	return sv.guard, pass, err
}

// requestOrigin is where a request came from, for events.
func requestOrigin(r *http.Request) event.Origin {
	return event.Origin{Address: clientAddress(r).String(), Agent: plain(r.UserAgent())}
}

// serveUntilCut runs the next handler. The proxy gives up an answer by a panic when its
// request ends; where the guard ended it, what was sent is all there is, and the client
// gets a proper end instead of a broken connection.
func serveUntilCut(pass *guard.Pass, next caddyhttp.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		pass.Close()
		p := recover()
		if aborted, _ := p.(error); p != nil && (!errors.Is(aborted, http.ErrAbortHandler) || !pass.Cut()) {
			panic(p)
		}
	}()
	gw, gr := pass.Wrap(w, r, newRef)
	return next.ServeHTTP(gw, gr)
}

// refusedByGuard writes the guard's no; g may be nil when there is no guard yet.
func (in *instance) refusedByGuard(w http.ResponseWriter, r *http.Request, g *guard.Guard, req guard.Request, err error) {
	// What an ended session is found by stands in each refusal of it, and in their lines.
	ref := newRef()
	if e := oauth.AsError(err); e != nil && e.Ref != "" {
		ref = e.Ref
	}
	w, done := in.logRefused(w, r, err, ref)
	defer done()
	if strings.HasPrefix(in.policy.Issuer, "https:") {
		w.Header().Set("Strict-Transport-Security", authserver.HSTS)
	}
	g.Refuse(w, req, err, ref)
}

// stripForwarded removes from a request that nobody vouched for the headers that say who
// a person is, and trailers that could: the next handler may proxy it to a server that
// believes them.
func (in *instance) stripForwarded(r *http.Request) {
	for _, t := range in.targets {
		if len(t.Resource.Forward) > 0 {
			t.StripForwarded(r.Header)
			r.Trailer = nil
		}
	}
}
