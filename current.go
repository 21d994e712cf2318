// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"crypto/rand"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// sharedProvider is a provider with the number of handlers whose configuration means it.
type sharedProvider struct {
	provider.Provider
	users int
}

// provider returns the provider of a configuration. Configurations that mean the same
// one share it with all it has discovered; forget must follow for each that got it.
func (s *site) provider(b provider.Builder) (provider.Provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shared := s.providers[b.Identity()]
	if shared == nil {
		p, err := b.Build(provider.Env{Now: clock.System, Rand: rand.Reader, Log: s.log})
		if err != nil {
			return nil, err
		}
		shared = &sharedProvider{Provider: p}
		s.providers[b.Identity()] = shared
	}
	shared.users++
	return shared.Provider, nil
}

// forget gives back what provider returned.
func (s *site) forget(b provider.Builder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if shared := s.providers[b.Identity()]; shared != nil {
		if shared.users--; shared.users == 0 {
			delete(s.providers, b.Identity())
		}
	}
}

// started makes a handler the current one and lets the maintenance warm the site up.
func (s *site) started(in *instance) {
	s.mu.Lock()
	s.running = append(s.running, in)
	s.follow()
	s.mu.Unlock()
	s.store.OpenBy(in.store)
	s.start.Do(func() { go s.maintain() })
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// stopped undoes started. Where it was the current handler, the one before takes over: a
// configuration that fails after it has started leaves the former one running.
func (s *site) stopped(in *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = slices.DeleteFunc(s.running, func(r *instance) bool { return r == in })
	s.follow()
}

// follow makes the last of the running handlers the current one; s.mu is held.
func (s *site) follow() {
	if len(s.running) == 0 {
		s.current.Store(nil)
		return
	}
	in := s.running[len(s.running)-1]
	s.current.Store(in)
	s.masters.Store(&in.masters)
	s.alg.Store(&in.alg)
	s.useMasters()
}

// useMasters hands the configured master keys to the vault, in their present order.
func (s *site) useMasters() {
	if sv, m := s.services.Load(), *s.masters.Load(); sv != nil && len(m) > 0 {
		sv.vault.SetMasters(m)
	}
}
