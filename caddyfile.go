// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	caddy.RegisterModule(Handler{})
	httpcaddyfile.RegisterDirective("mcp_oauth", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("mcp_oauth", httpcaddyfile.Before, "basic_auth")
}

// handlerWords are the words at the top of the directive.
var handlerWords = words[Handler]{
	"issuer":         scalar("issuer <url>", checkIssuer, func(h *Handler) *string { return &h.Issuer }),
	"resource":       {usage: resourceUsage, repeats: true, parse: parseResource},
	"provider":       {usage: providerUsage, parse: parseProvider},
	"store":          {usage: storeUsage, parse: parseStore},
	"encryption_key": each("encryption_key <base64 of 32 bytes>", checkEncryptionKey, func(h *Handler) *[]string { return &h.EncryptionKey }),
	"scope":          {usage: scopeUsage, repeats: true, parse: parseScope},
	"allow":          {usage: allowUsage, repeats: true, parse: parseAllow},
	"client":         {usage: clientUsage, repeats: true, parse: parseClient},
	"registration":   {usage: registrationUsage, parse: parseRegistration},
	"login":          {usage: loginUsage, parse: parseLogin},
	"tokens":         {usage: tokensUsage, parse: parseTokens},
	"streams":        {usage: streamsUsage, parse: parseStreams},
}

// parseCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	mcp_oauth {
//		issuer   <url>
//		resource <url> {
//			name            <text>
//			scopes          <scope>...
//			allowed_origins <origin>...
//			audience        <uri>
//			introspect      <client>...
//			forward {
//				header <name> <claim>
//			}
//		}
//		provider entra|oidc {
//			...
//		}
//		store memory|file [<path>]|redis [<url>] {
//			...
//		}
//		encryption_key <base64 of 32 bytes>
//		scope <name> {
//			description <text>
//			implies     <scope>...
//		}
//		allow {
//			user   <value>...
//			role   <value>...
//			domain <value>...
//		}
//		client <id> {
//			name         <text>
//			secret       <value>
//			redirect_uri <uri>
//		}
//		registration [off] {
//			rate           <events> <window>
//			redirect_hosts <host>...
//		}
//		login {
//			title   <text>
//			support <e-mail or url>
//		}
//		tokens {
//			access          <duration>
//			refresh         <duration>
//			refresh_idle    <duration>
//			refresh_grace   <duration>
//			code            <duration>
//			backend_jwt     <duration>
//			backend_jwt_alg RS256|ES256
//			guard_cache     <duration>
//			provider_outage <duration>
//		}
//		streams {
//			until       session|token
//			max_age     <duration>
//			per_session <number>
//		}
//	}
//
// Words with a list append when they are written again; resource, header, encryption_key,
// scope, allow, client, secret and redirect_uri may repeat; any other word twice is an
// error.
//
// Values without placeholders are checked here, so that errors have a position. What can
// only be judged with everything resolved is checked when the handler is provisioned.
func parseCaddyfile(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // consume directive name
	if h.NextArg() {
		return nil, h.Errf("mcp_oauth takes no matcher, here %q: its endpoints and /.well-known documents lie beside "+
			"what it guards and a matcher would cut them off; remove it and write what to guard as: %s", h.Val(), resourceUsage)
	}
	handler := new(Handler)
	if err := handlerWords.block(h.Dispenser, "mcp_oauth", handler); err != nil {
		return nil, err
	}
	if err := handler.checkRequired(); err != nil {
		return nil, h.WrapErr(err)
	}
	return h.NewRoute(nil, handler), nil
}

func parseProvider(d *caddyfile.Dispenser, h *Handler) (err error) {
	h.ProviderRaw, err = parseGuest(d, providers, providerUsage)
	return err
}

func parseStore(d *caddyfile.Dispenser, h *Handler) (err error) {
	h.StoreRaw, err = parseGuest(d, stores, storeUsage)
	return err
}
