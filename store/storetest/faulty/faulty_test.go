// SPDX-License-Identifier: Apache-2.0

package faulty_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// Without faults it is the store behind it.
func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(_ *testing.T, env store.Env) store.Store {
		return faulty.New(memory.New(memory.Options{}, env))
	}, storetest.OpenSecond(func(_ *testing.T, first store.Store, _ store.Env) store.Store {
		return second{first.(*faulty.Store).Inner()}
	}))
}

// second is a handle whose end leaves the store open.
type second struct{ store.Store }

func (second) Close() error { return nil }

var record = store.Record{
	Key:     store.Key{Site: "0011223344556677", Kind: "grant", ID: strings.Repeat("0a", 32)},
	Version: store.Version{1},
	Value:   []byte("ours"),
}

func TestFaults(t *testing.T) {
	t.Parallel()
	other := errors.New("other")
	for name, c := range map[string]struct {
		set    func(*faulty.Store)
		want   error
		effect bool
	}{
		"none":           {func(s *faulty.Store) { s.Set(faulty.None) }, nil, true},
		"before":         {func(s *faulty.Store) { s.Set(faulty.Before) }, faulty.ErrBroken, false},
		"after":          {func(s *faulty.Store) { s.Set(faulty.After); s.SetError(other) }, other, true},
		"slow":           {func(s *faulty.Store) { s.Set(faulty.Slow); s.SetDelay(time.Second) }, nil, true},
		"too slow":       {func(s *faulty.Store) { s.Set(faulty.Slow); s.SetDelay(time.Minute) }, context.DeadlineExceeded, false},
		"hang":           {func(s *faulty.Store) { s.Set(faulty.Hang) }, context.DeadlineExceeded, false},
		"deaf":           {func(s *faulty.Store) { s.Set(faulty.Deaf); time.AfterFunc(time.Hour, s.Release) }, nil, true},
		"planned":        {func(s *faulty.Store) { s.Set(faulty.None, faulty.Before) }, faulty.ErrBroken, false},
		"another kind":   {func(s *faulty.Store) { s.Set(faulty.Before); s.Only("", "code") }, nil, true},
		"another method": {func(s *faulty.Store) { s.Set(faulty.Before); s.Only(faulty.Update, "grant") }, nil, true},
		"just this":      {func(s *faulty.Store) { s.Set(faulty.Before); s.Only(faulty.Create, "grant") }, faulty.ErrBroken, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := faulty.New(memory.New(memory.Options{}, store.Env{Now: clock.System}))
				c.set(s)
				r := record
				r.Expires = clock.System().Add(24 * time.Hour)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				if err := s.Create(ctx, r); !errors.Is(err, c.want) {
					t.Errorf("error is %v, want %v", err, c.want)
				}
				if s.Writes() != 1 || s.Reads() != 0 || s.Count(faulty.Create, "grant") != 1 {
					t.Errorf("%d writes and %d reads counted", s.Writes(), s.Reads())
				}
				if _, err := s.Inner().Get(t.Context(), r.Key); (err == nil) != c.effect {
					t.Errorf("effect: %v", err)
				}
			})
		})
	}
}

func TestWrongAnswers(t *testing.T) {
	t.Parallel()
	s := faulty.New(memory.New(memory.Options{}, store.Env{Now: clock.System}))
	s.Set(faulty.Wrong)
	if r, err := s.Get(t.Context(), record.Key); err != nil || r.Key == record.Key {
		t.Errorf("Get: %v, %v", r, err)
	}
	page, err := s.List(t.Context(), store.Query{Site: record.Site, Kind: record.Kind})
	if err != nil || len(page.Records) != 1 || page.Records[0].Kind == record.Kind {
		t.Errorf("List: %v, %v", page, err)
	}
}
