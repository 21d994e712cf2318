// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// trippable is the store as this table can break it beside what faulty can.
type trippable struct {
	store.Store
	faulty *faulty.Store

	mu      sync.Mutex
	corrupt store.Kind // a bit of what is read of this kind is wrong
	trip    func(op faulty.Op, kind store.Kind) bool
	met     bool // either had an effect
}

// set spoils what is read of a kind, and has trip called by each call until it says true.
func (s *trippable) set(corrupt store.Kind, trip func(faulty.Op, store.Kind) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corrupt, s.trip, s.met = corrupt, trip, false
}

func (s *trippable) reached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.met
}

func (s *trippable) pass(op faulty.Op, kind store.Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trip != nil && s.trip(op, kind) {
		s.trip, s.met = nil, true
	}
}

func (s *trippable) Get(ctx context.Context, k store.Key) (store.Record, error) {
	s.pass(faulty.Get, k.Kind)
	rec, err := s.Store.Get(ctx, k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.corrupt == k.Kind {
		s.met = true
		rec.Value = bytes.Clone(rec.Value)
		rec.Value[len(rec.Value)-1] ^= 1
	}
	return rec, err
}

func (s *trippable) Create(ctx context.Context, r store.Record) error {
	s.pass(faulty.Create, r.Kind)
	return s.Store.Create(ctx, r)
}

func (s *trippable) Update(ctx context.Context, r store.Record, prev store.Version) error {
	s.pass(faulty.Update, r.Kind)
	return s.Store.Update(ctx, r, prev)
}

// faultKeyring is the sealed keyring that every store of the table begins with, since keys
// take long to make. Bubbles begin at its time.
var faultKeyring = sync.OnceValues(func() (store.Record, error) {
	now := func() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }
	master, err := seal.NewMaster(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		return store.Record{}, err
	}
	s := memory.New(memory.Options{}, store.Env{Now: now})
	v := vault.New(vault.Config{
		Store: s, Issuer: faultIssuer, Masters: []seal.Master{master}, Now: now, Rand: rand.Reader, NewSigningKey: newSigningKey,
	})
	if _, err := v.Keyring(context.Background()); err != nil {
		return store.Record{}, err
	}
	all, err := s.List(context.Background(), store.Query{Site: v.Site().String(), Kind: "keyring", Limit: 1})
	if err != nil {
		return store.Record{}, err
	}
	return all.Records[0], nil
})
