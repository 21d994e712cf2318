// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// seededBug is a way in which nodes can be wrong. Nothing of it is in the code: it stands
// between a node and its store, clock, configuration or client.
type seededBug struct {
	name string
	// breaks is the promise that it breaks, in the words of the fault; where it is set, the
	// promise alone finds the bug, without a comparison with the rule.
	breaks string
	alone  bool // nothing but the promise is checked
	store  func(*modelWorld, store.Store) store.Store
	clock  func(*modelNode) time.Duration
	terms  func(Terms) Terms
	answer func(*modelCall, func() (*Issued, error)) (*Issued, error)
}

func seededBugs() []seededBug {
	return []seededBug{
		{name: "writes ignore the version", breaks: promiseHonest, store: func(_ *modelWorld, s store.Store) store.Store { return blindStore{s} }},
		{name: "reads are stale", breaks: promiseHonest, store: func(_ *modelWorld, s store.Store) store.Store {
			return &staleStore{Store: s, seen: map[store.Key]store.Record{}}
		}},
		{name: "acknowledged writes are lost", breaks: promiseHonest, store: func(_ *modelWorld, s store.Store) store.Store { return &lossyStore{Store: s} }},
		{name: "a clock is 40 seconds slow", clock: func(n *modelNode) time.Duration { return time.Duration(-n.number) * 40 * time.Second }},
		{name: "the grace never ends", terms: func(t Terms) Terms {
			p := *t.Policy
			p.Lifetimes.RefreshGrace = 1000 * time.Hour
			t.Policy = &p
			return t
		}},
		{name: "the provider's new token is dropped", breaks: promiseHonest, terms: func(t Terms) Terms {
			t.Provider = forgetfulProvider{t.Provider}
			return t
		}},
		{name: "a graced answer is a new pair", breaks: promiseSame, answer: anewInGrace},
		{name: "the grace outlives a revocation", breaks: promiseRevoked, answer: graceAfterRevocation()},
		{name: "the generation stays", breaks: promiseHonest, store: tampered(func(before, after *grantRecord) bool {
			stays := after.Generation != before.Generation
			after.Generation = before.Generation
			return stays
		})},
		{name: "a recovery supersedes nothing", store: tampered(func(before, after *grantRecord) bool {
			recovered := after.Recovered != before.Recovered
			after.Current = before.Current
			return recovered
		})},
		{name: "reuse ends nothing", breaks: promiseThief, store: tampered(func(before, after *grantRecord) bool {
			reused := after.Ended != nil && after.Ended.Reason == ReasonReuse
			*after = *before
			return reused
		})},
		{name: "the predecessor is forgotten", breaks: promiseHonest, store: tampered(func(before, after *grantRecord) bool {
			rotated := after.Generation != before.Generation
			after.Predecessor = nil
			return rotated
		})},
		{name: "the lease holds nobody off", breaks: promiseHonest, store: tampered(func(_, after *grantRecord) bool {
			leased := after.LeaseUntil != 0
			after.LeaseUntil = 0
			return leased
		})},
	}
}

// blindStore overwrites whatever is there.
type blindStore struct{ store.Store }

func (s blindStore) Update(ctx context.Context, r store.Record, prev store.Version) error {
	if now, err := s.Get(ctx, r.Key); err == nil {
		prev = now.Version
	}
	return s.Store.Update(ctx, r, prev)
}

// staleStore answers every fourth read of a grant with what the node read before.
type staleStore struct {
	store.Store
	reads int
	seen  map[store.Key]store.Record
}

func (s *staleStore) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if k.Kind != grantKind.Name {
		return s.Store.Get(ctx, k)
	}
	s.reads++
	if old, ok := s.seen[k]; ok && s.reads%4 == 0 {
		return old, nil
	}
	rec, err := s.Store.Get(ctx, k)
	if err == nil {
		s.seen[k] = rec
	}
	return rec, err
}

// lossyStore forgets every sixth change of a grant.
type lossyStore struct {
	store.Store
	writes int
}

func (s *lossyStore) Update(ctx context.Context, r store.Record, prev store.Version) error {
	if s.writes++; r.Kind == grantKind.Name && s.writes%6 == 0 {
		return nil
	}
	return s.Store.Update(ctx, r, prev)
}

// tampered is a store that keeps something else than a node wrote, where change says so.
func tampered(change func(before, after *grantRecord) bool) func(*modelWorld, store.Store) store.Store {
	return func(w *modelWorld, s store.Store) store.Store { return &tamperingStore{s, w, change} }
}

type tamperingStore struct {
	store.Store
	w      *modelWorld
	change func(before, after *grantRecord) bool
}

func (s *tamperingStore) Update(ctx context.Context, r store.Record, prev store.Version) error {
	call := callOf(ctx)
	if call == nil || r.Kind != grantKind.Name {
		return s.Store.Update(ctx, r, prev)
	}
	before, err := s.w.check.record(call.session.id)
	if err != nil {
		return err
	}
	if err := s.Store.Update(ctx, r, prev); err != nil {
		return err
	}
	after, err := s.w.check.record(call.session.id)
	if err != nil || !s.change(&before.Value, &after.Value) {
		return err
	}
	// Under the version that the node gave it, which is the first randomness of a write.
	random := io.MultiReader(bytes.NewReader(r.Version[:]), s.w.random)
	return vault.Update(context.Background(), modelVault(replacingStore{s.w.base}, clock.System, random), grantKind, after)
}

// replacingStore puts a record in the place of one of the same version.
type replacingStore struct{ store.Store }

func (s replacingStore) Update(ctx context.Context, r store.Record, _ store.Version) error {
	return errors.Join(s.Delete(ctx, r.Key, store.Version{}), s.Create(ctx, r))
}

// forgetfulProvider loses the token that it should be asked with next time.
type forgetfulProvider struct{ provider.Provider }

func (p forgetfulProvider) Refresh(ctx context.Context, token secret.String) (*provider.Session, error) {
	session, err := p.Provider.Refresh(ctx, token)
	if err == nil {
		session.RefreshToken = secret.String{}
	}
	return session, err
}

// anewInGrace answers with another access token whenever the pair should be the same.
func anewInGrace(c *modelCall, ask func() (*Issued, error)) (*Issued, error) {
	out, err := ask()
	if err != nil || c.mode != modeGraced {
		return out, err
	}
	other := *out
	other.Access, err = c.node.mint(context.Background(), tokens.Access, out.Grant, out.Access.Gen)
	return &other, err
}

// graceAfterRevocation remembers answers and gives them again whatever became of the grant.
func graceAfterRevocation() func(*modelCall, func() (*Issued, error)) (*Issued, error) {
	answers := map[tokens.ID]map[string]*Issued{}
	return func(c *modelCall, ask func() (*Issued, error)) (*Issued, error) {
		shown := text(c.token)
		out, err := ask()
		if err == nil {
			if answers[out.Grant] == nil {
				answers[out.Grant] = map[string]*Issued{}
			}
			answers[out.Grant][shown] = out
		} else if old := answers[c.token.ID][shown]; old != nil && c.seen != nil && c.seen.ended {
			return old, nil
		}
		return out, err
	}
}
