// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(_ *testing.T, env store.Env) store.Store {
		return memory.New(memory.Options{}, env)
	})
}

func record(n int, expires time.Time) store.Record {
	sum := sha256.Sum256(fmt.Append(nil, n))
	return store.Record{
		Key:     store.Key{Site: "0011223344556677", Kind: "client", ID: hex.EncodeToString(sum[:])},
		Version: store.Version{1},
		Expires: expires,
		Value:   []byte("value"),
	}
}

func TestSec_N15_FullStoreKeepsTheLiving(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Unix(1_800_000_000, 0))
	s := memory.New(memory.Options{MaxRecords: 3}, store.Env{Now: c.Now})
	hour := c.Now().Add(time.Hour)
	for n, expires := range []time.Time{hour, c.Now().Add(time.Minute), hour} {
		if err := s.Create(t.Context(), record(n, expires)); err != nil {
			t.Fatal(err)
		}
	}

	err := s.Create(t.Context(), record(3, hour))
	if !errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrTooLarge) || !strings.Contains(err.Error(), "full") {
		t.Fatalf("Create in a full store: %v", err)
	}
	for n := range 3 {
		if _, err := s.Get(t.Context(), record(n, hour).Key); err != nil {
			t.Fatalf("live record %d: %v", n, err)
		}
	}
	again := record(0, hour)
	again.Version = store.Version{2}
	if err := s.Update(t.Context(), again, store.Version{1}); err != nil {
		t.Fatalf("Update in a full store: %v", err)
	}

	c.Advance(time.Minute)
	if err := s.Create(t.Context(), record(3, hour)); err != nil {
		t.Fatalf("Create when one record is dead: %v", err)
	}
	if err := s.Create(t.Context(), record(4, hour)); err == nil {
		t.Fatal("more records than the bound")
	}
	for _, n := range []int{0, 2, 3} {
		if _, err := s.Get(t.Context(), record(n, hour).Key); err != nil {
			t.Fatalf("live record %d: %v", n, err)
		}
	}
}

func TestReplacingTheDeadNeedsNoRoom(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Unix(1_800_000_000, 0))
	s := memory.New(memory.Options{MaxRecords: 1}, store.Env{Now: c.Now})
	for range 3 {
		r := record(1, c.Now().Add(time.Minute))
		r.Version[1] = byte(c.Now().Minute())
		if err := s.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Minute)
	}
}

func TestListLeavesOutTheDead(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Unix(1_800_000_000, 0))
	s := memory.New(memory.Options{}, store.Env{Now: c.Now})
	for n := range 4 {
		if err := s.Create(t.Context(), record(n, c.Now().Add(time.Duration(n)*time.Minute))); err != nil {
			t.Fatal(err)
		}
	}
	c.Advance(2 * time.Minute)
	page, err := s.List(t.Context(), store.Query{Site: "0011223344556677", Kind: "client"})
	if err != nil || len(page.Records) != 1 || page.Next != "" {
		t.Errorf("%d records, next %q, %v, want the one that lives", len(page.Records), page.Next, err)
	}
}

func TestLoss(t *testing.T) {
	t.Parallel()
	var s store.Durable = memory.New(memory.Options{}, store.Env{Now: clock.System})
	if s.Loss() == "" {
		t.Error("a memory store says that it loses nothing")
	}
}
