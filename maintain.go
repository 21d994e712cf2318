// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// How often the maintenance of a site does what.
const (
	sweepEvery   = time.Minute
	rotateEvery  = time.Hour
	retryAtFirst = 2 * time.Second
	retryAtMost  = time.Minute
)

// maintain is the one background goroutine of a site: it warms up after each start of a
// configuration, removes what has expired and rotates keys. It ends with the site.
func (s *site) maintain() {
	defer close(s.done)
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	var retry <-chan time.Time
	delay, rotated := retryAtFirst, clock.System()
	warm := func() {
		retry = nil
		ok := s.safely(func() bool { return s.warm(s.ctx) })
		if ok {
			s.safely(s.rotate)
			delay = retryAtFirst
			return
		}
		retry = time.After(delay)
		delay = min(2*delay, retryAtMost)
	}
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
			s.log.Info("register this redirect URI at the provider", "redirect_uri", s.key.issuer+"/callback")
			warm()
		case <-retry:
			warm()
		case <-sweep.C:
			s.safely(s.sweep)
			if now := clock.System(); now.Sub(rotated) >= rotateEvery {
				rotated = now
				s.safely(s.rotate)
			}
		}
	}
}

// safely runs one step and tells whether it worked. A panic here would end the whole
// server, with every other site on it.
func (s *site) safely(step func() bool) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			ok = false
			s.log.Error("maintenance failed", "error", fmt.Sprintf("panic: %v", p))
		}
	}()
	return step()
}

// warm opens everything that the first person would otherwise wait for, and says what is
// wrong in one sentence each. It tells whether all of it worked.
func (s *site) warm(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	current, ok := s.current.Load(), true
	if current == nil {
		return true
	}
	sv, err := s.open(ctx)
	if err == nil {
		_, err = sv.vault.Keyring(ctx)
	}
	if s.ctx.Err() != nil {
		return false
	}
	if err != nil {
		s.log.ErrorContext(ctx, "the store cannot be used yet; requests that need it are answered with 503", "store", s.key.store, "error", err)
		ok = false
	}
	err = current.signIn.Warm(ctx)
	if s.ctx.Err() != nil {
		return false
	}
	if err != nil {
		s.log.ErrorContext(ctx, "the provider cannot be used yet; new sign-ins have to wait", "error", err)
		ok = false
	}
	if ok {
		s.log.InfoContext(ctx, "ready", "provider", current.signIn.Name())
	}
	return ok
}

func (s *site) sweep() bool {
	sv := s.services.Load()
	if sv == nil {
		return true
	}
	sv.guard.Sweep()
	err := sv.vault.Sweep(s.ctx)
	if err != nil && s.ctx.Err() == nil {
		s.log.WarnContext(s.ctx, "expired records were not removed", "error", err)
	}
	return err == nil
}

func (s *site) rotate() bool {
	sv := s.services.Load()
	if sv == nil {
		return true
	}
	err := sv.vault.Rotate(s.ctx)
	if err != nil && s.ctx.Err() == nil {
		s.log.WarnContext(s.ctx, "keys were not rotated", "error", err)
	}
	return err == nil
}
