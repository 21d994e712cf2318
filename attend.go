// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const (
	// recheckEvery is how often open streams are looked at. A revocation on a node that
	// cannot tell this one cuts them within this time and what a look-up takes.
	recheckEvery = 20 * time.Second
	// watchAgain is how long after it broke a watch begins anew.
	watchAgain = time.Second
)

// attend keeps what is in memory true while the site lives: it follows the changes of
// other nodes, to grants and to keys, and looks at open streams. None of this may wait for
// the maintenance, whose sweep can be slow.
func (s *site) attend(sv *services) {
	s.attendants.Go(func() { s.watch(sv) })
	s.attendants.Go(func() { s.recheck(sv) })
	s.attendants.Go(func() { s.followKeys(sv) })
}

// recheck ends the streams of grants that have ended.
func (s *site) recheck(sv *services) {
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-sv.guard.Streams().Suspects():
			s.safely(func() bool { sv.guard.RecheckSuspects(s.ctx); return true })
		case <-tick.C:
			s.safely(func() bool { sv.guard.Recheck(s.ctx); return true })
		}
	}
}

// watch follows the changes that other nodes make to grants, where the store can tell.
func (s *site) watch(sv *services) {
	for s.ctx.Err() == nil {
		s.safely(func() bool { return s.watchOnce(sv) })
		if s.ctx.Err() != nil {
			return
		}
		// Something may have changed while nobody listened.
		s.changed(sv, store.Key{})
		pause(s.ctx, watchAgain)
	}
}

func (s *site) watchOnce(sv *services) bool {
	backend, err := s.store.Backend(s.ctx)
	if err != nil {
		return false
	}
	w, ok := backend.(store.Watcher)
	if !ok {
		<-s.ctx.Done()
		return true
	}
	err = w.Watch(s.ctx, func(k store.Key) { s.changed(sv, k) })
	if err != nil && s.ctx.Err() == nil {
		s.log.Warn("changes of other nodes are not heard for a moment; this one asks the store more often meanwhile", "error", err)
	}
	return err == nil
}

// changed passes the report of a change on to the guard, or has the keys read again.
func (s *site) changed(sv *services, k store.Key) {
	if k == (store.Key{}) {
		sv.guard.ChangedAll()
		sv.followSoon()
		return
	}
	if k.Site != sv.vault.Site().String() {
		return
	}
	id, err := hex.DecodeString(k.ID)
	switch {
	case k.Kind == vault.KeyringKind:
		sv.followSoon()
	case k.Kind == "grant" && err == nil && len(id) == 32:
		sv.guard.Changed([32]byte(id))
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
