// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/authserver"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/pages"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/route"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// instance is what a provisioned handler works with. It is one pointer, so a handler
// that was never provisioned has none and lets nobody through.
type instance struct {
	*settings
	site   *site
	table  *route.Table
	server *authserver.Server
	signIn provider.Provider
	log    *slog.Logger
	config any // of which generation

	targets map[*policy.Resource]*guard.Target
	// resourceVars are the values of the variable of that name, ready to be set.
	resourceVars map[string]any

	givenBack   sync.Once
	misdirected sync.Once // the first one is explained
	// refusals and undecided bound the lines about requests that were refused, and about
	// those that nobody could decide.
	refusals, undecided sampler
}

// Provision sets up the handler. It opens, dials and writes nothing: a configuration is
// provisioned to be validated, too, beside a server that is running.
func (h *Handler) Provision(ctx caddy.Context) error {
	s, err := h.resolve(ctx)
	if err != nil {
		return err
	}
	app, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("loading events app: %w", err)
	}
	events := app.(*caddyevents.App)
	in := &instance{
		settings: s, table: route.New(s.policy), log: ctx.Slogger(),
		targets: targetsOf(s.policy), resourceVars: make(map[string]any),
	}
	for _, r := range s.policy.Resources {
		in.resourceVars[r.URL] = r.URL
	}
	if err := join(events, s); err != nil {
		return err
	}
	in.config = events
	// From here on Cleanup gives back what was taken, also when Provision fails.
	h.instance = in
	if err := in.useSite(); err != nil {
		return err
	}
	if err := in.buildServer(); err != nil {
		return err
	}
	if err := registerMetrics(ctx); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	in.warn()
	return events.On("started", startedHandler{in})
}

// useSite takes a reference to the site of the issuer, and creates the site and its
// store handle if this is their first.
func (in *instance) useSite() error {
	key := siteKey{issuer: in.policy.Issuer, store: storeIdentity(in.store), keys: seal.Fingerprint(in.masters)}
	if _, own := in.store.(masterKeyer); !own && len(in.masters) == 0 {
		return fmt.Errorf("encryption_key is missing: a store that several machines can share needs one; make it with: openssl rand -base64 32")
	}
	v, _, err := sitePool.LoadOrNew(key, func() (caddy.Destructor, error) {
		st, _, err := storePool.LoadOrNew(key.store, func() (caddy.Destructor, error) {
			return newPooledStore(in.store, liveLog), nil
		})
		if err != nil {
			return nil, err
		}
		return newSite(key, st.(*pooledStore), in.masters, in.alg), nil
	})
	if err != nil {
		return err
	}
	in.site = v.(*site)
	return nil
}

func (in *instance) buildServer() error {
	var err error
	if in.signIn, err = in.site.provider(in.provider); err != nil {
		return err
	}
	for _, t := range in.targets {
		t.Provider = in.signIn
	}
	look, err := pages.New(pages.Config{Title: in.title, Support: in.support})
	if err != nil {
		return err
	}
	in.server, err = authserver.New(authserver.Config{
		State: in.site.state, Events: in.site.sink, Log: slog.New(sampledHandler{in.log.Handler(), &in.undecided}),
		Now: clock.System, Rand: rand.Reader,
		Policy: in.policy, Rules: in.rules, Provider: in.signIn, Pages: look,
	})
	return err
}

// earlyRefresh is how long before its end some clients replace an access token.
const earlyRefresh = 5 * time.Minute

// warn says what is allowed but may not be meant: a public provider without an allow
// block lets in whoever has an account there, and clients that refresh early never stop
// doing so when access tokens are short.
func (in *instance) warn() {
	if access := in.policy.Lifetimes.Access; access <= earlyRefresh {
		in.log.Warn("some clients refresh 5 minutes before an access token ends, so with this life they do with every request",
			"issuer", in.policy.Issuer, "access", access)
	}
	m, ok := in.provider.(caddy.Module)
	if ok && len(in.policy.Allow) == 0 && m.CaddyModule().ID.Name() == "oidc" {
		in.log.Warn("everyone whom the provider signs in may use the resources; an allow block narrows that", "issuer", in.policy.Issuer)
	}
}

// startedHandler receives Caddy's "started" event: the configuration is running.
type startedHandler struct{ in *instance }

// Handle implements caddyevents.Handler.
func (s startedHandler) Handle(context.Context, caddy.Event) error {
	if s.in.usable() && s.in.site.uses.acquire() {
		defer s.in.site.uses.done()
		liveLogs.started(s.in, s.in.log)
		s.in.site.started(s.in)
	}
	return nil
}

// usable tells whether the handler is complete and its site lives. A request that reaches
// the handler of a former configuration is served as long as the site lives on in the
// present one.
func (in *instance) usable() bool {
	return in != nil && in.server != nil && !in.site.uses.closed()
}

// Cleanup gives back what Provision took, be it complete or not. It does not wait for
// requests: on a reload it runs while they are being answered.
func (h *Handler) Cleanup() error {
	if h.instance != nil {
		h.instance.givenBack.Do(h.instance.giveBack)
	}
	return nil
}

func (in *instance) giveBack() {
	leave(in.config)
	if in.site == nil {
		return
	}
	if in.signIn != nil {
		in.site.forget(in.provider)
	}
	in.site.stopped(in)
	if _, err := sitePool.Delete(in.site.key); err != nil {
		liveLog.Error("closing the site failed", "issuer", in.site.key.issuer, "error", err)
	}
	liveLogs.stopped(in)
}

// Interface guards
var (
	_ caddy.Provisioner  = (*Handler)(nil)
	_ caddy.CleanerUpper = (*Handler)(nil)
)
