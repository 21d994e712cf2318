// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/singleflight"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// How a check went, for the audit trail.
const (
	checkEnded   = "ended"   // no: the grant has ended
	checkSame    = "same"    // yes, and nothing has changed
	checkChanged = "changed" // yes, with new claims
	checkOutage  = "outage"  // the provider could not be asked, and its last yes still serves
	checkVain    = "vain"    // the provider could not be asked, and its last yes is too old
)

// maxChecks bounds the calls to the provider that a node makes at the same time for
// accounts that are in use. Refreshes are not among them.
const maxChecks = 64

var (
	errClosing = errors.New("the site is closing")
	// errStale says that a data key is none of the grant's any more.
	errStale = errors.New("the provider's token is sealed under another data key")
)

// check asks the provider about a grant with its data key, unless somebody has done so by
// the time it gets there. All who want that on this node share one check. It outlives the
// request that began it.
func (s *Service) check(ctx context.Context, terms Terms, id tokens.ID, dek seal.Key) <-chan singleflight.Result {
	ctx = context.WithoutCancel(ctx)
	return s.checks.DoChan(id.String(), func() (_ any, err error) {
		// This runs in a goroutine of its own, where a panic would end the whole server.
		defer recoverAs(&err)
		release := s.hold()
		if release == nil {
			return nil, errClosing
		}
		defer release()
		ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
		defer cancel()
		select {
		case s.checking <- struct{}{}:
			defer func() { <-s.checking }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return nil, s.checkNow(ctx, terms, id, dek)
	})
}

func (s *Service) hold() func() {
	if s.Hold == nil {
		return func() {}
	}
	return s.Hold()
}

// checkNow takes the lease of the grant and asks, or follows whoever has the lease.
func (s *Service) checkNow(ctx context.Context, terms Terms, id tokens.ID, dek seal.Key) error {
	var waiting patience
	for tries := 0; tries < attempts; {
		rec, err := vault.Get(ctx, s.Vault, grantKind, id.String())
		if err == nil && rec.Value.Ended != nil || errors.Is(err, store.ErrNotFound) {
			s.Changed(id) // another node may have ended it, and may have no way to say so
			return errRevoked
		}
		if err != nil {
			return err
		}
		g := &rec.Value
		if g.Provider == nil || !paceOf(terms.Policy).due(g.history(), s.Now()).ask {
			return nil
		}
		token, err := s.openProvider(g, id, dek)
		if err != nil {
			return errStale
		}
		name, err := s.lease(ctx, rec)
		switch {
		case errors.Is(err, errLeased):
			if !waiting.wait(ctx) {
				return err
			}
		case errors.Is(err, store.ErrConflict):
			tries++
		case err != nil:
			if name != 0 {
				s.release(ctx, rec.ID, name)
			}
			return err
		default:
			return s.settle(ctx, terms, rec, id, dek, token)
		}
	}
	return fmt.Errorf("grant is changing too fast to check it")
}

// settle asks and writes down the answer; rec is the grant with our lease.
func (s *Service) settle(ctx context.Context, terms Terms, rec *vault.Record[grantRecord], id tokens.ID, dek seal.Key, token secret.String) error {
	v, err := s.ask(ctx, terms, &rec.Value, id, token)
	// What was asked is written down, however long the answer took.
	ctx, cancel := detach(ctx)
	defer cancel()
	mode := checkSame
	ended := endedBy(err)
	switch {
	case ended != nil:
		mode = checkEnded
	case err != nil:
		mode = checkVain
	case v.yes == 0:
		mode = checkOutage
	case v.changes(&rec.Value):
		mode = checkChanged
	}
	g := rec.Value
	if ended != nil {
		if err = s.endChecked(ctx, rec, id, ended); oauth.AsError(err) == nil {
			return err
		}
	} else if werr := s.conclude(ctx, rec, id, dek, v); werr != nil {
		return werr
	}
	if mode == checkChanged {
		s.Changed(id)
	}
	s.Events.Emit(ctx, event.Event{Kind: event.AccountVerified, Mode: mode, Client: g.Client, Person: g.Person.Subject, Grant: rec.ID, Resource: g.Resource})
	return err
}

// endChecked ends a grant for a provider's no, whatever else has changed about it. It does
// not give up at once: the provider is not asked again soon.
func (s *Service) endChecked(ctx context.Context, rec *vault.Record[grantRecord], id tokens.ID, ended *provider.Ended) error {
	err := s.endRecord(ctx, rec, ended.Reason, ended.Reference)
	for waiting := (patience{}); err != nil && oauth.AsError(err) == nil; err = s.End(ctx, id, ended.Reason) {
		if !waiting.wait(ctx) {
			return err
		}
	}
	return errRevoked
}

// conclude ends our lease and keeps the answer that it brought; v is nil for none. Others
// may have changed the grant meanwhile, but not what the lease protects. Whoever lost the
// lease writes nothing: what it knows is older than what is there.
func (s *Service) conclude(ctx context.Context, rec *vault.Record[grantRecord], id tokens.ID, dek seal.Key, v *verdict) error {
	name := rec.Value.LeaseUntil
	var sealing error
	err := s.amend(ctx, rec.ID, func(g *grantRecord) bool {
		if g.LeaseUntil != name {
			return false
		}
		g.LeaseUntil = 0
		if v == nil || g.Provider == nil {
			return true
		}
		v.apply(g)
		sealing = s.resealProvider(g, id, dek, v.token)
		return sealing == nil
	})
	return errors.Join(err, sealing)
}
