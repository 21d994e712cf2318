// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgres_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres/postgrestest"
)

func record(n int, version byte) store.Record {
	sum := sha256.Sum256(fmt.Append(nil, n))
	return store.Record{
		Key:     store.Key{Site: "0011223344556677", Kind: "grant", ID: hex.EncodeToString(sum[:])},
		Version: store.Version{version}, Expires: clock.System().Add(time.Hour).Truncate(time.Second), Value: []byte{version},
	}
}

// works writes a record in every way and reads it.
func works(t *testing.T, s store.Store) {
	t.Helper()
	r := record(1, 1)
	u := record(1, 2)
	for _, err := range []error{
		s.Create(t.Context(), r), s.Update(t.Context(), u, r.Version), s.Delete(t.Context(), r.Key, u.Version),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Sweep(t.Context(), clock.System(), 10); err != nil {
		t.Fatal(err)
	}
}

func definite(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) ||
		errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLarge)
}

// A server that is restarted or crashes while clients write makes outcomes unknown, never
// a definite no, and sending the same writes again heals each of them.
func TestServerRestartsWhileClientsWrite(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	st := open(t, s, env())
	defer st.Close()
	for round, end := range []func(testing.TB){s.Stop, s.Crash} {
		const writers, versions = 8, 40
		outage := make(chan struct{})
		var once, unknown sync.Once
		seen := false
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				for v := range versions {
					if v == versions/4 {
						once.Do(func() { close(outage) })
					}
					err := writeUntilKnown(t, st, record(round*100+w, byte(v+1)), store.Version{byte(v)})
					if err != nil {
						unknown.Do(func() { seen = true })
					}
				}
			})
		}
		<-outage
		end(t)
		s.Run(t)
		group.Wait()
		if !seen {
			t.Errorf("round %d: nobody noticed that the server was away", round)
		}
		for w := range writers {
			got, err := st.Get(t.Context(), record(round*100+w, 0).Key)
			if err != nil || got.Version != (store.Version{versions}) {
				t.Errorf("round %d: record %d has version %v, %v", round, w, got.Version, err)
			}
		}
	}
}

// writeUntilKnown sends a write until its outcome is known, which must be success. It
// returns the last unknown error.
func writeUntilKnown(t *testing.T, s store.Store, r store.Record, prev store.Version) (last error) {
	deadline, again := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer again.Stop()
	for {
		var err error
		if prev == (store.Version{}) {
			err = s.Create(t.Context(), r)
		} else {
			err = s.Update(t.Context(), r, prev)
		}
		switch {
		case err == nil:
			return last
		case definite(err):
			t.Errorf("an outage became the answer %v", err)
			return last
		}
		last = err
		select {
		case <-again.C:
		case <-deadline:
			t.Errorf("still unknown: %v", err)
			return last
		}
	}
}

// An open transaction holds a record when the server ends: the write that waited for it
// is unknown, and done when it is sent again.
func TestServerEndsInsideATransaction(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	prefix := newPrefix()
	st := openPrefix(t, s, prefix, env())
	defer st.Close()
	r := record(1, 1)
	if err := st.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	tx := begin(t, s, "UPDATE "+prefix+"records SET expires = expires")
	outcome := make(chan error, 1)
	u := record(1, 2)
	go func() { outcome <- st.Update(t.Context(), u, r.Version) }()
	awaitBlocked(t, s)
	s.Crash(t)
	tx.Close(t.Context())
	if err := <-outcome; err == nil || definite(err) {
		t.Errorf("the write that waited: %v", err)
	}
	if _, err := st.Get(t.Context(), r.Key); err == nil || definite(err) {
		t.Errorf("a read without a server: %v", err)
	}
	s.Run(t)
	if err := writeUntilKnown(t, st, u, r.Version); err != nil && definite(err) {
		t.Error(err)
	}
	if got, err := st.Get(t.Context(), r.Key); err != nil || got.Version != u.Version {
		t.Errorf("version %v, %v", got.Version, err)
	}
}

// Connections that broke while nobody used them cost no answer.
func TestBrokenIdleConnectionsCostNothing(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	st := open(t, s, env())
	defer st.Close()
	var group sync.WaitGroup
	for n := range 64 {
		group.Go(func() {
			if err := st.Create(t.Context(), record(n, 1)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for round := range 3 {
		s.SQL(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mcp_oauth'")
		if _, err := st.Get(t.Context(), record(1, 1).Key); err != nil {
			t.Errorf("a read after connections broke: %v", err)
		}
		if err := st.Create(t.Context(), record(100+round, 1)); err != nil {
			t.Errorf("a write after connections broke: %v", err)
		}
	}
}
