// SPDX-License-Identifier: Apache-2.0

package lazystore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/lazystore"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// audited is a store with an audit trail.
type audited struct {
	store.Store
	err     error
	entries []store.AuditEntry
}

func (a *audited) Append(_ context.Context, entries []store.AuditEntry) error {
	a.entries = append(a.entries, entries...)
	return a.err
}

func (a *audited) Find(context.Context, store.AuditQuery) ([]store.AuditEntry, error) {
	return a.entries, a.err
}

func (a *audited) Prune(context.Context, time.Time, int) (int, error) { return len(a.entries), a.err }

// single opens the store that it is.
type single struct{ inner store.Store }

func (single) Identity() string                                       { return "test" }
func (o single) Open(context.Context, store.Env) (store.Store, error) { return o.inner, nil }

func lazyOver(t *testing.T, inner store.Store) *lazystore.Store {
	t.Helper()
	s := lazystore.New(single{inner}, env(), lazystore.Options{})
	t.Cleanup(func() { s.Close() })
	return s
}

func TestAuditPassesThrough(t *testing.T) {
	t.Parallel()
	a := &audited{Store: memory.New(memory.Options{}, env())}
	s := lazyOver(t, a)
	wantNil(t, s.Append(t.Context(), []store.AuditEntry{{ID: "1"}}))
	found, err := s.Find(t.Context(), store.AuditQuery{})
	if err != nil || len(found) != 1 || found[0].ID != "1" {
		t.Errorf("%v, %v", found, err)
	}
	if n, err := s.Prune(t.Context(), time.Time{}, 1); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	a.err = faulty.ErrBroken
	wantUnknown(t, s.Append(t.Context(), nil), faulty.ErrBroken)
}

// That there is no audit trail is an answer, and no reason to ask the store less.
func TestNoAuditIsAnAnswer(t *testing.T) {
	t.Parallel()
	plain := memory.New(memory.Options{}, env())
	for name, inner := range map[string]store.Store{"none": plain, "off": &audited{Store: plain, err: errors.ErrUnsupported}} {
		s := lazyOver(t, inner)
		for range 10 {
			if err := s.Append(t.Context(), nil); !errors.Is(err, errors.ErrUnsupported) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		_, err := s.Get(t.Context(), record(1).Key)
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the breaker opened: %v", name, err)
		}
	}
}
