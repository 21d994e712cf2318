// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// endedLife is how long an ended grant is kept, so that a later question about it has
// an answer.
const endedLife = 30 * 24 * time.Hour

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

// endRecord kills the grant for a provider's no and returns what the client is told.
func (s *Service) endRecord(ctx context.Context, rec *vault.Record[grantRecord], reason, ref string) error {
	if err := s.kill(ctx, rec, reason, ref); err != nil {
		return err
	}
	return refuse("grant has ended: " + reason)
}

func (s *Service) kill(ctx context.Context, rec *vault.Record[grantRecord], reason, ref string) error {
	g := &rec.Value
	g.Ended = &ended{Reason: reason, Time: s.Now().Unix(), Ref: ref}
	g.Current, g.Predecessor, g.Successor, g.Access, g.Provider = nil, nil, nil, nil, nil
	g.PredecessorWrap, g.LeaseUntil = nil, 0
	rec.Expires = s.Now().Add(endedLife)
	id, err := parseID(rec.ID)
	if err != nil {
		return err
	}
	if err := vault.Update(ctx, s.Vault, grantKind, rec); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	}
	s.Changed(id)
	s.Events.Emit(ctx, event.Event{Kind: event.GrantEnded, Mode: reason, Client: g.Client, Person: g.Person.Subject, Grant: rec.ID, Resource: g.Resource})
	return nil
}
