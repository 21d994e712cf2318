// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"encoding/hex"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// watched is a store of several nodes: what comes in reports is what another one did.
type watched struct {
	store.Store
	watches atomic.Int32
	reports chan store.Key
	breaks  chan error
}

func (w *watched) Watch(ctx context.Context, fn func(store.Key)) error {
	w.watches.Add(1)
	fn(store.Key{})
	for {
		select {
		case k := <-w.reports:
			fn(k)
		case err := <-w.breaks:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// revocable is a Lookup of one token whose grant can be ended.
type revocable struct {
	lookupFunc
	lookups atomic.Int32
	ended   atomic.Bool
}

func (r *revocable) Access(ctx context.Context, token string) (*guard.Access, error) {
	r.lookups.Add(1)
	a, err := r.lookupFunc(ctx, token)
	if err == nil {
		a.Record = [32]byte{7}
	}
	return a, err
}

func (r *revocable) Alive(context.Context, [16]byte) error {
	if r.ended.Load() {
		return oauth.New(oauth.InvalidToken, "The access token is not valid.")
	}
	return nil
}

// attended is a site whose guard knows one token, and whose store tells what others do.
func attended(t *testing.T) (s *site, w *watched, r *revocable, target *guard.Target) {
	t.Helper()
	res := &policy.Resource{URL: "https://fake.example.com/mcp", Origin: "https://fake.example.com", Scopes: oauth.Scopes{"mcp"}}
	w = &watched{reports: make(chan store.Key), breaks: make(chan error)}
	s = siteOver(t, &fakeStore{wrap: func(inner store.Store) store.Store { w.Store = inner; return w }})
	r = &revocable{lookupFunc: knowsGood(res.URL)}
	p := &policy.Policy{Streams: policy.DefaultStreams(), Lifetimes: policy.DefaultLifetimes()}
	return s, w, r, guard.NewTarget(p, res)
}

// serve puts a guard over r into the site and attends to it.
func (s *site) serve(t *testing.T, r guard.Lookup) *services {
	t.Helper()
	sv, err := s.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sv.guard = guard.New(guard.Config{Grants: r, Mint: mintedForGood, Now: clock.System})
	s.services.Store(sv)
	s.attend(sv)
	return sv
}

// A stream of a grant that has ended on a node that cannot tell is cut within the round.
func TestStreamsAreRechecked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _, r, target := attended(t)
		sv := s.serve(t, r)
		open := stream(t, sv.guard, target)
		<-time.After(recheckEvery + time.Second)
		synctest.Wait()
		if open.Err() != nil {
			t.Fatal("the stream of a living grant was cut")
		}
		r.ended.Store(true)
		<-time.After(recheckEvery)
		synctest.Wait()
		if open.Err() == nil {
			t.Error("the stream of an ended grant goes on")
		}
		s.start.Do(func() { close(s.done) })
		_ = s.Destruct()
	})
}

// What another node reports is forgotten and looked at at once; a report about anything
// else changes nothing; and when the reports stop for a moment, everything is forgotten.
func TestReportsOfOtherNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w, r, target := attended(t)
		sv := s.serve(t, r)
		synctest.Wait()
		open := stream(t, sv.guard, target)
		seven := [32]byte{7}
		about := store.Key{Site: sv.vault.Site().String(), Kind: "grant", ID: hex.EncodeToString(seven[:])}
		entries := func() int { synctest.Wait(); return sv.guard.Len() }

		for _, k := range []store.Key{{Site: "0123456789abcdef", Kind: about.Kind, ID: about.ID}, {Site: about.Site, Kind: "client", ID: about.ID}, {Site: about.Site, Kind: about.Kind, ID: "x"}} {
			if w.reports <- k; entries() != 1 {
				t.Errorf("%v: the answer was forgotten", k)
			}
		}
		r.ended.Store(true)
		if w.reports <- about; entries() != 0 {
			t.Error("the answer is still there")
		}
		if open.Err() == nil {
			t.Error("the stream of an ended grant goes on")
		}
		r.ended.Store(false)
		stream(t, sv.guard, target)
		if w.breaks <- errors.New("connection lost"); entries() != 0 {
			t.Error("an answer survived while nobody listened")
		}
		<-time.After(watchAgain)
		stream(t, sv.guard, target)
		if w.reports <- (store.Key{}); entries() != 0 || w.watches.Load() != 2 {
			t.Errorf("%d entries after %d watches", sv.guard.Len(), w.watches.Load())
		}
		s.start.Do(func() { close(s.done) })
		_ = s.Destruct()
	})
}
