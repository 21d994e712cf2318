// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
)

// How to write the words that have a block, on one line.
const (
	resourceUsage     = "resource <url> { name; scopes; allowed_origins; audience; introspect; forward }"
	forwardUsage      = "forward { header <name> <claim> }"
	headerUsage       = "header <name> <claim>"
	providerUsage     = "provider entra|oidc { ... }"
	storeUsage        = "store memory|file [<path>]|redis [<url>] { ... }"
	scopeUsage        = "scope <name> { description; implies }"
	allowUsage        = "allow { user <value>...; role <value>...; domain <value>... }"
	clientUsage       = "client <id> { name; secret; redirect_uri <uri> }"
	registrationUsage = "registration [off] { rate <events> <window>; redirect_hosts <host>... }"
	loginUsage        = "login { title <text>; support <e-mail or url> }"
	tokensUsage       = "tokens { access <duration>; refresh <duration>; ... }"
	rateUsage         = "rate <events> <window>"
	streamsUsage      = "streams { until session|token; max_age <duration>; per_session <number> }"
)

var resourceWords = words[Resource]{
	"name":            scalar("name <text>", checkText, func(r *Resource) *string { return &r.Name }),
	"scopes":          several("scopes <scope>...", checkScope, func(r *Resource) *[]string { return &r.Scopes }),
	"allowed_origins": several("allowed_origins <origin>...", checkOrigin, func(r *Resource) *[]string { return &r.AllowedOrigins }),
	"introspect":      several("introspect <client>...", checkClientID, func(r *Resource) *[]string { return &r.Introspect }),
	"audience":        scalar("audience <uri>", checkAudience, func(r *Resource) *string { return &r.Audience }),
	"forward":         {usage: forwardUsage, parse: parseForward},
}

var forwardWords = words[Forward]{
	"header": {usage: headerUsage, repeats: true, parse: parseForwardHeader},
}

var streamsWords = words[Streams]{
	"until":       scalar("until session|token", checkUntil, func(s *Streams) *string { return &s.Until }),
	"max_age":     scalar("max_age <duration>", checkStreamAge, func(s *Streams) *Duration { return &s.MaxAge }),
	"per_session": scalar("per_session <number>", checkStreams, func(s *Streams) *caddyhttp.WeakString { return &s.PerSession }),
}

var scopeWords = words[Scope]{
	"description": scalar("description <text>", checkText, func(s *Scope) *string { return &s.Description }),
	"implies":     several("implies <scope>...", checkScope, func(s *Scope) *[]string { return &s.Implies }),
}

var allowWords = words[AllowBlock]{
	"user":   rule("user <value>...", checkUser, func(a *AllowBlock) *[][]string { return &a.User }),
	"role":   rule("role <value>...", checkRole, func(a *AllowBlock) *[][]string { return &a.Role }),
	"domain": rule("domain <value>...", checkDomain, func(a *AllowBlock) *[][]string { return &a.Domain }),
}

var clientWords = words[Client]{
	"name":         scalar("name <text>", checkText, func(c *Client) *string { return &c.Name }),
	"secret":       each("secret <value>", checkClientSecret, func(c *Client) *[]string { return &c.Secret }),
	"redirect_uri": each("redirect_uri <uri>", checkRedirectURI, func(c *Client) *[]string { return &c.RedirectURI }),
}

var registrationWords = words[Registration]{
	"rate":           {usage: rateUsage, parse: parseRate},
	"redirect_hosts": several("redirect_hosts <host>...", checkRedirectHost, func(r *Registration) *[]string { return &r.RedirectHosts }),
}

var loginWords = words[Login]{
	"title":   scalar("title <text>", checkText, func(l *Login) *string { return &l.Title }),
	"support": scalar("support <e-mail or url>", checkSupport, func(l *Login) *string { return &l.Support }),
}

// tokensWords has one word for each lifetime, and one for the algorithm.
var tokensWords = func() words[Tokens] {
	ws := make(words[Tokens])
	for _, l := range lifetimes {
		ws[l.word] = scalar(l.word+" <duration>", l.check, l.field)
	}
	ws["backend_jwt_alg"] = scalar("backend_jwt_alg RS256|ES256", checkBackendAlg, func(t *Tokens) *string { return &t.BackendJWTAlg })
	return ws
}()

// rule is a word of an allow block. Each line is a rule of its own, and all lines must
// hold, so a second line narrows and never widens the first.
func rule(usage string, check func(string) error, field func(*AllowBlock) *[][]string) word[AllowBlock] {
	return word[AllowBlock]{usage: usage, repeats: true, parse: func(d *caddyfile.Dispenser, a *AllowBlock) error {
		vs, err := many(d, usage, check)
		if err != nil {
			return err
		}
		*field(a) = append(*field(a), vs)
		return noBlock(d, usage)
	}}
}

func parseResource(d *caddyfile.Dispenser, h *Handler) (err error) {
	var r Resource
	if r.URL, err = one(d, resourceUsage, checkResourceURL); err != nil {
		return err
	}
	if err := resourceWords.block(d, "resource", &r); err != nil {
		return err
	}
	h.Resource = append(h.Resource, r)
	return nil
}

func parseForward(d *caddyfile.Dispenser, r *Resource) error {
	if err := needBlock(d, forwardUsage); err != nil {
		return err
	}
	r.Forward = new(Forward)
	if err := forwardWords.block(d, "forward", r.Forward); err != nil {
		return err
	}
	if err := r.Forward.checkRequired(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func parseForwardHeader(d *caddyfile.Dispenser, f *Forward) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Errf("header has %d values and takes two: write %s, such as header X-User-Email email", len(args), headerUsage)
	}
	if err := surface.CheckUnresolved(args[0], checkHeaderName); err != nil {
		return d.WrapErr(err)
	}
	if err := surface.CheckUnresolved(args[1], checkClaim); err != nil {
		return d.WrapErr(err)
	}
	f.Header = append(f.Header, ForwardHeader{Name: args[0], Claim: args[1]})
	return noBlock(d, headerUsage)
}

func parseScope(d *caddyfile.Dispenser, h *Handler) (err error) {
	var s Scope
	if s.Name, err = one(d, scopeUsage, checkScope); err != nil {
		return err
	}
	if err := scopeWords.block(d, "scope", &s); err != nil {
		return err
	}
	h.Scope = append(h.Scope, s)
	return nil
}

func parseAllow(d *caddyfile.Dispenser, h *Handler) error {
	if err := needBlock(d, allowUsage); err != nil {
		return err
	}
	var a AllowBlock
	if err := allowWords.block(d, "allow", &a); err != nil {
		return err
	}
	if err := a.checkRequired(); err != nil {
		return d.WrapErr(err)
	}
	h.Allow = append(h.Allow, a)
	return nil
}

func parseClient(d *caddyfile.Dispenser, h *Handler) (err error) {
	var c Client
	if c.ID, err = one(d, clientUsage, checkClientID); err != nil {
		return err
	}
	if err := clientWords.block(d, "client", &c); err != nil {
		return err
	}
	if err := c.checkRequired(); err != nil {
		return d.WrapErr(err)
	}
	h.Client = append(h.Client, c)
	return nil
}

func parseRegistration(d *caddyfile.Dispenser, h *Handler) error {
	r := new(Registration)
	h.Registration = r
	if d.NextArg() {
		if d.Val() != "off" || d.CountRemainingArgs() > 0 {
			return d.Errf("unexpected %q after registration: write %s", d.Val(), registrationUsage)
		}
		r.Off = true
		if d.NextBlock(d.Nesting()) {
			return d.WrapErr(errRegistrationOff)
		}
		return nil
	}
	if err := needBlock(d, registrationUsage); err != nil {
		return err
	}
	return registrationWords.block(d, "registration", r)
}

func parseRate(d *caddyfile.Dispenser, r *Registration) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Errf("rate has %d values and takes two: write %s, such as rate 20 1m", len(args), rateUsage)
	}
	if err := surface.CheckUnresolved(args[0], checkEvents); err != nil {
		return d.WrapErr(err)
	}
	if err := surface.CheckUnresolved(args[1], checkWindow); err != nil {
		return d.WrapErr(err)
	}
	r.Rate = &Rate{Events: caddyhttp.WeakString(args[0]), Window: Duration(args[1])}
	return noBlock(d, rateUsage)
}

func parseLogin(d *caddyfile.Dispenser, h *Handler) error {
	if err := needBlock(d, loginUsage); err != nil {
		return err
	}
	h.Login = new(Login)
	return loginWords.block(d, "login", h.Login)
}

func parseTokens(d *caddyfile.Dispenser, h *Handler) error {
	if err := needBlock(d, tokensUsage); err != nil {
		return err
	}
	h.Tokens = new(Tokens)
	return tokensWords.block(d, "tokens", h.Tokens)
}

func parseStreams(d *caddyfile.Dispenser, h *Handler) error {
	if err := needBlock(d, streamsUsage); err != nil {
		return err
	}
	h.Streams = new(Streams)
	return streamsWords.block(d, "streams", h.Streams)
}

// parseGuest reads the module that follows, such as "entra" with its block.
func parseGuest(d *caddyfile.Dispenser, g guest, usage string) (json.RawMessage, error) {
	if !d.NextArg() {
		return nil, d.Errf("%s has no value: write %s", wordOf(usage), usage)
	}
	module := d.Val()
	if err := g.check(module); err != nil {
		return nil, d.WrapErr(err)
	}
	unm, err := caddyfile.UnmarshalModule(d, g.namespace+"."+module)
	if err != nil {
		return nil, err
	}
	return caddyconfig.JSONModuleObject(unm, "module", module, nil), nil
}
