// SPDX-License-Identifier: Apache-2.0

package oidc_test

import (
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

func TestConstructionDialsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	_ = s.p.Name()
	if n := len(s.op.Requests("")); n != 0 {
		t.Errorf("%d requests before the first use", n)
	}
}

func TestWarmFetchesOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := s.p.Warm(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if m, k := len(s.op.Requests(entratest.Metadata)), len(s.op.Requests(entratest.Keys)); m != 1 || k != 1 {
		t.Errorf("%d discovery and %d key requests, want one each", m, k)
	}
}

func TestDiscoveryFailureIsNotRemembered(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	s.op.Break(entratest.Metadata, entratest.Outage())
	wantUnknown(t, s.p.Warm(t.Context()))
	_, err := s.p.Refresh(t.Context(), secret.New("some token"))
	wantUnknown(t, err)
	s.op.Mend(entratest.Metadata)
	s.mustSignIn(t) // at once, without waiting
}

func TestLastGoodDocumentsAreKept(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	s.mustSignIn(t)
	s.op.Break(entratest.Metadata, entratest.Outage())
	s.op.Break(entratest.Keys, entratest.Outage())
	s.clock.Advance(23 * time.Hour)
	s.mustSignIn(t)
	// A day is the limit: keys that were withdrawn must not live on for ever.
	s.clock.Advance(2 * time.Hour)
	wantUnknown(t, s.p.Warm(t.Context()))
	s.op.Mend(entratest.Metadata)
	s.op.Mend(entratest.Keys)
	s.clock.Advance(11 * time.Second)
	s.mustSignIn(t)
}

func TestOutageCostsOneAttemptPerTenSeconds(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	s.mustSignIn(t)
	s.op.Break(entratest.Metadata, entratest.Outage())
	s.clock.Advance(2 * time.Hour)
	before := len(s.op.Requests(entratest.Metadata))
	for range 5 {
		s.mustSignIn(t)
	}
	if n := len(s.op.Requests(entratest.Metadata)) - before; n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
}

func TestSigningKeyRotation(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	s.mustSignIn(t)
	s.clock.Advance(11 * time.Second)
	s.op.RotateKeys(false) // and signs with the new one at once
	s.mustSignIn(t)
	s.clock.Advance(11 * time.Second)
	s.op.RotateKeys(true)
	s.mustSignIn(t)
}

func TestNewKeyDuringOutageIsUnknown(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	s.mustSignIn(t)
	s.clock.Advance(11 * time.Second)
	s.op.RotateKeys(false)
	s.op.Break(entratest.Keys, entratest.Outage())
	_, err := s.signIn(t)
	wantUnknown(t, err)
	// The rest between two attempts does not turn it into a no.
	_, err = s.signIn(t)
	wantUnknown(t, err)
}

func TestSec_G14_RandomKidsFetchKeysOncePerTenSeconds(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	s.mustSignIn(t)
	s.clock.Advance(11 * time.Second)
	before := len(s.op.Requests(entratest.Keys))
	n := 0
	s.op.Forge(func(t *entratest.IDToken) { n++; t.Header["kid"] = "random" + string(rune('a'+n)) })
	for range 20 {
		_, err := s.signIn(t)
		wantRefused(t, err, "id_token")
	}
	if n := len(s.op.Requests(entratest.Keys)) - before; n != 1 {
		t.Errorf("%d fetches of the keys, want 1", n)
	}
	s.clock.Advance(11 * time.Second)
	_, err := s.signIn(t)
	wantRefused(t, err, "id_token")
	if n := len(s.op.Requests(entratest.Keys)) - before; n != 2 {
		t.Errorf("%d fetches of the keys after ten seconds, want 2", n)
	}
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, entratest.OpenIDOptions{})
	s.mustSignIn(t)
	s.clock.Advance(-48 * time.Hour)
	s.mustSignIn(t)
}
