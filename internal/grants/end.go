// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// endedLife is how long an ended grant is kept, so that a later question about it has
// an answer.
const endedLife = 30 * 24 * time.Hour

// Why a grant ended, where it was not the provider, which has reasons of its own.
const (
	ReasonByClient = "revoked_by_client" // RFC 7009
	ReasonPerson   = "person_revoked"
	ReasonClient   = "client_revoked"
	ReasonResource = "resource_revoked"
	ReasonAll      = "all_revoked"
	// ReasonReplay is a second use of the code that the grant was made of.
	ReasonReplay = "code_replayed"
	// ReasonReuse is the use of a refresh token that was replaced long ago.
	ReasonReuse  = "refresh_reuse"
	ReasonPolicy = "policy"
)

// Who or what ends a grant; a closed set, which is also a label of a metric.
const (
	ByClient   = "client"
	ByCommand  = "command"
	ByReuse    = "reuse"
	ByPolicy   = "policy"
	ByProvider = "provider"
)

// Trigger tells who or what ends grants for a reason.
func Trigger(reason string) string {
	switch reason {
	case ReasonByClient:
		return ByClient
	case ReasonPerson, ReasonClient, ReasonResource, ReasonAll:
		return ByCommand
	case ReasonReplay, ReasonReuse:
		return ByReuse
	case ReasonPolicy:
		return ByPolicy
	default:
		return ByProvider
	}
}

// Triggers are all that Trigger can return.
func Triggers() []string { return []string{ByClient, ByCommand, ByReuse, ByPolicy, ByProvider} }

// End kills a grant and every token of it. Ending a grant that is gone or already ended
// is not an error.
func (s *Service) End(ctx context.Context, id tokens.ID, reason string) error {
	for range attempts {
		rec, err := vault.Get(ctx, s.Vault, grantKind, id.String())
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if rec.Value.Ended != nil {
			return nil
		}
		if err := s.kill(ctx, rec, reason, ""); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("grant is changing too fast to end it")
}

// endRecord kills the grant for a provider's no and returns what the client is told. ref
// is the provider's own reference, or "".
func (s *Service) endRecord(ctx context.Context, rec *vault.Record[grantRecord], reason, ref string) error {
	if err := s.kill(ctx, rec, reason, ref); err != nil {
		return err
	}
	return rec.Value.Ended.refusal()
}

func (s *Service) kill(ctx context.Context, rec *vault.Record[grantRecord], reason, ref string) error {
	g := &rec.Value
	g.Ended = &ended{Reason: reason, By: Trigger(reason), Time: s.Now().Unix(), Ref: s.reference(ctx), Provider: ref}
	g.Current, g.Predecessor, g.Successor, g.Access, g.Provider = nil, nil, nil, nil, nil
	g.PredecessorWrap, g.LeaseUntil = nil, 0
	rec.Expires = s.Now().Add(endedLife)
	if rec.ID == "" {
		rec.ID = g.ID // a listing does not know it
	}
	if err := vault.Update(ctx, s.Vault, grantKind, rec); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	}
	// A record that does not say its id is one of an older version: what this node remembers
	// of it ends by itself.
	if id, err := parseID(rec.ID); err == nil {
		s.Changed(id)
	}
	s.Events.Emit(ctx, event.Event{
		Kind: event.GrantEnded, Mode: reason, Ref: g.Ended.Ref, Client: g.Client, Person: g.Person.Subject, Grant: rec.ID, Resource: g.Resource,
	})
	return nil
}

// reference is that of the request that ends a grant, or a new one: a command ends many
// grants, and each is found by its own.
func (s *Service) reference(ctx context.Context) string {
	if ref := event.Complete(ctx, event.Event{}).Ref; ref != "" {
		return ref
	}
	return oauth.NewRef(s.Rand)
}

// refusal is invalid_grant for whoever comes back with a token of an ended grant. Clients
// show the description to people, who can ask an administrator about the reference.
func (e *ended) refusal() error {
	return errInvalidGrant.About(e.Ref, "This sign-in has ended").WithCause(fmt.Errorf("grant has ended: %s", e.Reason))
}

// invalidToken is refusal for access tokens.
func (e *ended) invalidToken() error {
	return errInvalidToken.About(e.Ref, "This sign-in has ended").WithCause(fmt.Errorf("grant has ended: %s", e.Reason))
}
