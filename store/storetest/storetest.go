// SPDX-License-Identifier: Apache-2.0

// Package storetest holds a store to every sentence of the contract in package store.
// A backend is right when Run passes for it.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Opener opens an empty store that uses env. Run closes it.
type Opener func(t *testing.T, env store.Env) store.Store

// Option says what a backend can beside opening a store.
type Option func(*suite)

// OpenSecond opens the data of first once more, with the same env, as another node
// would: with a connection of its own. Run closes it. The tests then work through both
// handles in turn. A store that one process alone can use has no second handle.
func OpenSecond(open func(t *testing.T, first store.Store, env store.Env) store.Store) Option {
	return func(s *suite) { s.second = open }
}

// Watches says that both handles are a store.Watcher, which then is tested, too. It goes
// with OpenSecond.
func Watches() Option {
	return func(s *suite) { s.watches = true }
}

type suite struct {
	open    Opener
	second  func(t *testing.T, first store.Store, env store.Env) store.Store
	watches bool
}

// Run runs the suite. Each of its tests opens a store of its own.
func Run(t *testing.T, open Opener, options ...Option) {
	t.Helper()
	s := &suite{open: open}
	for _, option := range options {
		option(s)
	}
	groups := [][]test{
		basicTests, createTests, updateTests, deleteTests, expiryTests, ambiguousTests,
		raceTests, listTests, pagingTests, churnTests, sweepTests, faultTests, cancelTests,
	}
	if s.second != nil {
		groups = append(groups, nodeTests)
	}
	if s.watches {
		groups = append(groups, watchTests)
	}
	for _, group := range groups {
		for _, test := range group {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.run(s.newBench(t))
			})
		}
	}
}

// test is one sentence of the contract, or a part of one.
type test struct {
	name string
	run  func(b *bench)
}

// bench is what a test works on: a store, and the clock it uses.
type bench struct {
	*testing.T
	ctx   context.Context
	clock *clock.Fake
	store store.Store
	// second is another handle on the same data, or store itself where there is none.
	second store.Store
}

// start is in the future, so that a backend that also expires records by a clock of its
// own does not interfere.
var start = time.Date(2040, 2, 29, 23, 59, 30, 0, time.UTC)

func (s *suite) newBench(t *testing.T) *bench {
	t.Helper()
	c := clock.NewFake(start)
	env := store.Env{Now: c.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
	b := &bench{T: t, ctx: t.Context(), clock: c, store: closing(t, s.open(t, env))}
	b.second = b.store
	if s.second != nil {
		b.second = closing(t, s.second(t, b.store, env))
	}
	return b
}

// closing closes a store at the end of its test.
func closing(t *testing.T, s store.Store) store.Store {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// node returns the handles in turn, so that concurrent work goes through both.
func (b *bench) node(i int) store.Store {
	if i%2 == 1 {
		return b.second
	}
	return b.store
}

const (
	siteA = "00112233aabbccdd"
	siteB = "00112233aabbccde"
)

// record returns the n-th record, with an hour to live and a new version.
func (b *bench) record(n int) store.Record {
	return store.Record{
		Key:     store.Key{Site: siteA, Kind: "grant", ID: id(n)},
		Version: version(),
		Expires: b.clock.Now().Add(time.Hour),
		Value:   fmt.Appendf(nil, "value %d", n),
	}
}

func id(n int) string {
	sum := sha256.Sum256(fmt.Append(nil, n))
	return hex.EncodeToString(sum[:])
}

func version() (v store.Version) {
	_, _ = rand.Read(v[:]) // never fails
	return v
}

func index(name string) store.Index { return sha256.Sum256([]byte(name)) }

// next returns r as it is written again: another version and value.
func next(r store.Record, value string) store.Record {
	r.Version, r.Value = version(), []byte(value)
	return r
}

// created creates the n-th record and returns it.
func (b *bench) created(n int) store.Record {
	b.Helper()
	r := b.record(n)
	b.create(r)
	return r
}

func (b *bench) create(r store.Record) {
	b.Helper()
	b.wantErr(b.store.Create(b.ctx, r), nil)
}

// wantErr checks an answer of the store; want nil means success.
func (b *bench) wantErr(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("error is %v, want %v", err, want)
	}
}

// wantUnknown checks that an error is none of the definite answers.
func (b *bench) wantUnknown(what string, err error) {
	b.Helper()
	if err == nil || definite(err) {
		b.Errorf("%s: error is %v, want one that says nothing about the record", what, err)
	}
}

func definite(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) ||
		errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLarge)
}

// wantStored checks that Get returns exactly r.
func (b *bench) wantStored(r store.Record) {
	b.Helper()
	got, err := b.store.Get(b.ctx, r.Key)
	b.wantErr(err, nil)
	if diff := difference(got, r); diff != "" {
		b.Fatalf("stored record: %s", diff)
	}
}

// wantAbsent checks that no live record has the key.
func (b *bench) wantAbsent(k store.Key) {
	b.Helper()
	_, err := b.store.Get(b.ctx, k)
	b.wantErr(err, store.ErrNotFound)
}

// difference describes how two records differ, or is empty.
func difference(got, want store.Record) string {
	switch {
	case got.Key != want.Key:
		return fmt.Sprintf("key %q, want %q", got.Key, want.Key)
	case got.Version != want.Version:
		return fmt.Sprintf("version %x, want %x", got.Version, want.Version)
	case got.Person != want.Person || got.Client != want.Client:
		return fmt.Sprintf("indexes %x %x, want %x %x", got.Person, got.Client, want.Person, want.Client)
	case !got.Expires.Equal(want.Expires) || got.Expires.Location() != time.UTC:
		return fmt.Sprintf("expires %v, want %v", got.Expires, want.Expires)
	case !bytes.Equal(got.Value, want.Value):
		return fmt.Sprintf("value of %d bytes, want %d others", len(got.Value), len(want.Value))
	}
	return ""
}
