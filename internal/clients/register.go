// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// attempts bounds how often a read-modify-write is repeated when others write too. Each
// round lost is a round that somebody else won with the same aim.
const attempts = 5

var errBusy = errors.New("clients: the record kept changing")

// Register answers a registration request (RFC 7591 §3.1) from addr. A definite no is an
// *oauth.Error: the codes of RFC 7591 §3.2.2, access_denied where registration is off,
// temporarily_unavailable with status 429 where the rate is spent. Any other error means
// that the client may or may not be registered; asking again is harmless.
func (g *Registry) Register(ctx context.Context, rules Rules, addr netip.Addr, body []byte) (*oauth.RegistrationResponse, error) {
	resp, created, err := g.register(ctx, rules, addr, body)
	e := event.Event{Kind: event.ClientRegistered}
	if addr.IsValid() {
		e.Address = addr.String()
	}
	switch no := oauth.AsError(err); {
	case no != nil && no.RetryAfter > 0:
		e.Kind, e.Mode = event.LimitHit, "registration"
	case no != nil:
		e.Kind, e.Mode, e.Cause = event.ClientRefused, string(no.Code), err
	case err != nil || !created:
		return resp, err
	default:
		e.Client, e.Mode = resp.ClientID, resp.TokenEndpointAuthMethod
	}
	g.events.Emit(ctx, e)
	return resp, err
}

func (g *Registry) register(ctx context.Context, rules Rules, addr netip.Addr, body []byte) (_ *oauth.RegistrationResponse, created bool, err error) {
	if rules.RegistrationOff {
		return nil, false, oauth.New(oauth.AccessDenied, "Clients cannot register themselves here. Ask the administrator for a client id.")
	}
	req, err := oauth.ParseRegistration(body)
	if err != nil {
		return nil, false, err
	}
	a, err := accept(rules, req)
	if err != nil {
		return nil, false, err
	}
	pay := func() error { return g.limits.take(addr, rules) }
	if a.method != AuthNone {
		resp, err := g.registerConfidential(ctx, a, pay)
		return resp, err == nil, err
	}
	return g.registerPublic(ctx, a, pay)
}

// registerConfidential always makes a new client: a secret cannot be shown twice.
func (g *Registry) registerConfidential(ctx context.Context, a accepted, pay func() error) (*oauth.RegistrationResponse, error) {
	if err := pay(); err != nil {
		return nil, err
	}
	id, sec, err := newCredentials(g.rand)
	if err != nil {
		return nil, err
	}
	r := a.record()
	sum := sha256.Sum256([]byte(sec.Reveal()))
	r.SecretHash = sum[:]
	if err := g.create(ctx, id, &r); err != nil {
		return nil, err
	}
	resp := a.response(id, r.Created)
	resp.ClientSecret = sec
	// RFC 7591 §3.2.1: client_secret_expires_at is "REQUIRED if "client_secret" is
	// issued ... 0 if it will not expire."
	resp.ClientSecretExpiresAt = new(int64)
	return resp, nil
}

// registerPublic finds the record of the same registration or makes it. Only the making
// is paid for.
func (g *Registry) registerPublic(ctx context.Context, a accepted, pay func() error) (_ *oauth.RegistrationResponse, created bool, err error) {
	r := a.record()
	id := publicID(r)
	paid := false
	for range attempts {
		rec, err := vault.Get(ctx, g.vault, Kind, id)
		if err == nil {
			err = g.keep(ctx, rec)
		}
		switch {
		case err == nil:
			return a.response(id, rec.Value.Created), false, nil
		case errors.Is(err, store.ErrConflict):
			continue
		case !errors.Is(err, store.ErrNotFound):
			return nil, false, err
		}
		if !paid {
			if err := pay(); err != nil {
				return nil, false, err
			}
			paid = true
		}
		err = g.create(ctx, id, &r)
		if err == nil {
			return a.response(id, r.Created), true, nil
		}
		if !errors.Is(err, store.ErrExists) {
			return nil, false, err
		}
	}
	return nil, false, errBusy
}

func (g *Registry) create(ctx context.Context, id string, r *record) error {
	now := g.now().UTC().Truncate(time.Second)
	r.Created = now.Unix()
	_, err := vault.Create(ctx, g.vault, Kind, id, *r, vault.Options{Expires: now.Add(unusedLife(*r))})
	return err
}
