// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/audit"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var errGone = errors.New("gone")

// trail is the audit trail of a store that fails as long as it is told to.
type trail struct {
	store.Auditor

	mu      sync.Mutex
	err     error
	hang    chan struct{}
	calls   int
	entries []store.AuditEntry
}

func (a *trail) Append(_ context.Context, entries []store.AuditEntry) error {
	a.mu.Lock()
	a.calls++
	err, hang := a.err, a.hang
	a.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, entries...)
	return nil
}

func (a *trail) set(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *trail) got() (calls int, entries []store.AuditEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls, a.entries
}

func newTrail(a *trail, queue int) (*audit.Trail, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return audit.New(audit.Config{
		Auditor: a, Site: "0011223344556677", Now: clock.System, Rand: rand.Reader,
		Log: slog.New(slog.NewTextHandler(log, nil)), Queue: queue,
	}), log
}

func emit(t *audit.Trail, n int) {
	for range n {
		t.Emit(context.Background(), event.Event{Kind: event.Refreshed})
	}
}

func wait(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func end(t *testing.T, s *audit.Trail) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	s.Close(ctx)
}

func TestEventBecomesAnEntry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(trail)
		s, _ := newTrail(a, 0)
		now := clock.System()
		ctx := event.WithOrigin(t.Context(), event.Origin{Address: "192.0.2.1", Agent: "agent", Ref: "ref"})
		event.Sinks{s}.Emit(ctx, event.Event{
			Kind: event.TokenUsed, Mode: "mode", Client: "c", Person: "p", Grant: "g", Resource: "r", Token: "t", Cause: errGone,
		})
		end(t, s)
		_, entries := a.got()
		if len(entries) != 1 || len(entries[0].ID) != 32 {
			t.Fatalf("%+v", entries)
		}
		want := store.AuditEntry{
			ID: entries[0].ID, Time: now.UTC().Truncate(time.Millisecond), Event: "token_used", Mode: "mode", Site: "0011223344556677",
			Person: "p", Client: "c", Grant: "g", Token: "t", Resource: "r", Address: "192.0.2.1", Agent: "agent", Ref: "ref",
		}
		if entries[0] != want {
			t.Errorf("got  %+v\nwant %+v", entries[0], want)
		}
	})
}

// Both parties of a stolen token are in the trail.
func TestReuseIsTwoEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(trail)
		s, _ := newTrail(a, 0)
		s.Emit(t.Context(), event.Event{
			Kind: event.RefreshReuse, Grant: "g", Token: "t", Address: "192.0.2.1", Agent: "thief/1",
			LastAddress: "198.51.100.0/24", LastAgent: "client/2",
		})
		end(t, s)
		_, entries := a.got()
		if len(entries) != 2 {
			t.Fatalf("%+v", entries)
		}
		shown, last := entries[0], entries[1]
		if shown.Mode != "" || shown.Address != "192.0.2.1" || shown.Agent != "thief/1" {
			t.Errorf("who showed it: %+v", shown)
		}
		if last.Mode != "last_rotation" || last.Address != "198.51.100.0/24" || last.Agent != "client/2" || last.Grant != "g" || last.Token != "t" {
			t.Errorf("who rotated last: %+v", last)
		}
	})
}

// What anybody can provoke without end would fill the database.
func TestSec_M04_StrangersFillNoTrail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(trail)
		s, _ := newTrail(a, 0)
		for _, kind := range []event.Kind{event.ClientRefused, event.TokenRefused, event.RefreshFailed, event.LimitHit} {
			s.Emit(t.Context(), event.Event{Kind: kind})
		}
		emit(s, 1)
		end(t, s)
		if _, entries := a.got(); len(entries) != 1 || entries[0].Event != string(event.Refreshed) {
			t.Errorf("%+v", entries)
		}
	})
}

func TestEntriesAreGathered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(trail)
		s, _ := newTrail(a, 0)
		emit(s, 450)
		wait(time.Second)
		calls, entries := a.got()
		if calls != 3 || len(entries) != 450 {
			t.Errorf("%d entries in %d calls, want 450 in 3", len(entries), calls)
		}
		ids := make(map[string]bool)
		for _, e := range entries {
			ids[e.ID] = true
		}
		if len(ids) != 450 {
			t.Errorf("%d ids for 450 entries", len(ids))
		}
		end(t, s)
	})
}

// A store that is away costs nothing until the queue is full; then entries are lost, are
// counted, and the log says so once a minute.
func TestStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(trail)
		a.set(errGone)
		s, log := newTrail(a, 300)
		emit(s, 300)
		wait(time.Second) // 200 are in the writer's hands now
		emit(s, 250)
		if n := s.Dropped(); n != 50 {
			t.Errorf("%d entries were dropped, want 50", n)
		}
		wait(2 * time.Minute)
		emit(s, 3)
		wait(30 * time.Second)
		if n := strings.Count(log.String(), "entries of the audit trail were lost"); n != 1 || !strings.Contains(log.String(), "entries=50") {
			t.Errorf("the log says %d times that entries were lost:\n%s", n, log)
		}
		a.set(nil)
		wait(time.Minute)
		if _, entries := a.got(); len(entries) != 500 {
			t.Errorf("%d entries came through, want 500", len(entries))
		}
		end(t, s)
		if n := s.Dropped(); n != 53 {
			t.Errorf("%d entries were dropped in all, want 53", n)
		}
	})
}

func TestCloseWritesTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(trail)
		s, _ := newTrail(a, 0)
		emit(s, 1000)
		end(t, s)
		if _, entries := a.got(); len(entries) != 1000 {
			t.Errorf("%d entries were written, want 1000", len(entries))
		}
		emit(s, 1)
		if n := s.Dropped(); n != 1 {
			t.Errorf("%d entries after the end were counted, want 1", n)
		}
	})
}

func TestCloseDoesNotWaitForAStoreThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &trail{hang: make(chan struct{})}
		s, _ := newTrail(a, 0)
		emit(s, 1)
		wait(time.Second)
		start := clock.System()
		end(t, s)
		if took := clock.System().Sub(start); took != time.Second {
			t.Errorf("Close took %v", took)
		}
		close(a.hang)
	})
}

func TestCloseCountsWhatIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(trail)
		a.set(errGone)
		s, log := newTrail(a, 0)
		emit(s, 500)
		wait(time.Second)
		end(t, s)
		if s.Dropped() != 500 || !strings.Contains(log.String(), "entries=500") {
			t.Errorf("%d entries were counted as lost\n%s", s.Dropped(), log)
		}
	})
}

func TestStoreWithoutATrail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(trail)
		a.set(errors.ErrUnsupported)
		s, log := newTrail(a, 10)
		emit(s, 1)
		wait(time.Minute)
		emit(s, 100)
		wait(time.Minute)
		end(t, s)
		if calls, _ := a.got(); calls != 1 || s.Dropped() != 0 || log.Len() != 0 {
			t.Errorf("%d calls, %d dropped\n%s", calls, s.Dropped(), log)
		}
	})
}

func TestCloseWithoutAnyEvent(t *testing.T) {
	t.Parallel()
	s, _ := newTrail(new(trail), 0)
	end(t, s)
	end(t, s)
}
