// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"errors"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// How long a registration lives.
const (
	day = 24 * time.Hour
	// unusedPublic is the life of a public client that nobody has signed in with.
	unusedPublic = 7 * day
	// unusedConfidential is the same with a secret, of which each registration makes a
	// new one.
	unusedConfidential = day
	// usedLife is the life since the last use.
	usedLife = 90 * day
	// slack is given on top whenever a life is extended, so that the next extension is
	// due a day later and a record is written at most daily.
	slack = day
)

func unusedLife(r record) time.Duration {
	if r.confidential() {
		return unusedConfidential
	}
	return unusedPublic
}

// keep extends a public record that was registered again: whoever did so is about to sign
// in. store.ErrConflict and store.ErrNotFound mean that it has to be read again.
func (g *Registry) keep(ctx context.Context, rec *vault.Record[record]) error {
	now := g.now().UTC().Truncate(time.Second)
	if !rec.Expires.Before(now.Add(unusedPublic - slack)) {
		return nil
	}
	next := *rec
	next.Expires = now.Add(unusedPublic)
	return vault.Update(ctx, g.vault, Kind, &next)
}

// Used notes that a code was exchanged or a token refreshed, and extends the client's
// life to at least until, the end of the grant. It writes at most daily per client, and
// nothing for a static one. A client that is gone meanwhile is an *oauth.Error with
// invalid_client; any other error is an unknown outcome.
func (g *Registry) Used(ctx context.Context, c *Client, until time.Time) error {
	if c.Static {
		return nil
	}
	rec := c.record
	for range attempts {
		next, due := g.extended(rec, until)
		if !due {
			return nil
		}
		err := vault.Update(ctx, g.vault, Kind, next)
		if errors.Is(err, store.ErrConflict) {
			rec, err = vault.Get(ctx, g.vault, Kind, c.ID)
			if err == nil {
				continue
			}
		}
		if errors.Is(err, store.ErrNotFound) {
			return errUnknownClient.WithCause(err)
		}
		return err
	}
	return errBusy
}

// extended returns the record with the life that its use gives it, and whether that has
// to be written.
func (g *Registry) extended(rec *vault.Record[record], until time.Time) (*vault.Record[record], bool) {
	least := g.now().Add(usedLife)
	if until.After(least) {
		least = until
	}
	if rec.Value.Used && !rec.Expires.Before(least) {
		return nil, false
	}
	next := *rec
	next.Value.Used = true
	next.Expires = least.Add(slack).UTC().Truncate(time.Second)
	return &next, true
}
