// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres/postgrestest"
)

func TestChanged(t *testing.T) {
	t.Parallel()
	k := store.Key{Site: "0011223344556677", Kind: "grant", ID: strings.Repeat("0a", 32)}
	if got := changed(payload(k)); got != k {
		t.Errorf("%v came back as %v", k, got)
	}
	for _, odd := range []string{anything, "", "a/b", "a/b/c/d"} {
		if got := changed(odd); got != (store.Key{}) {
			t.Errorf("%q is about %v", odd, got)
		}
	}
}

// What could not be told becomes "anything may have changed", and is never forgotten.
func TestNotifier(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	config, err := parse(secret.New(s.DSN("postgres")))
	if err != nil {
		t.Fatal(err)
	}
	db := pool(config, 4)
	defer db.Close()
	keys := make(chan store.Key, 10_000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- watcher{config: config, channel: "changes"}.watch(ctx, func(k store.Key) { keys <- k })
	}()
	next := func() store.Key {
		t.Helper()
		select {
		case k := <-keys:
			return k
		case <-time.After(time.Minute):
			t.Fatal("nothing was reported")
			panic("unreachable")
		}
	}
	if k := next(); k != (store.Key{}) {
		t.Errorf("the first report is %v", k)
	}
	a := store.Key{Site: "a", Kind: "grant", ID: "1"}
	n := newNotifier(db, "changes")
	n.changed(a)
	if k := next(); k != a {
		t.Errorf("%v was reported", k)
	}
	n.lost.Store(true)
	n.changed(a)
	if k := next(); k != (store.Key{}) {
		t.Errorf("after a loss %v was reported", k)
	}
	for range 3 * notifyBatch {
		n.changed(a)
	}
	n.close()
	n.close()
	if k := next(); k != a {
		t.Errorf("%v was reported", k)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	db.Close()
	n = newNotifier(db, "changes")
	n.changed(a)
	n.close()
	if !n.lost.Load() {
		t.Error("a failed notification was forgotten")
	}
}
