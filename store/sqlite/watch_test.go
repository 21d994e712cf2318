// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func record(n int, version byte) store.Record {
	sum := sha256.Sum256(fmt.Append(nil, n))
	return store.Record{
		Key:     store.Key{Site: "0011223344556677", Kind: "grant", ID: hex.EncodeToString(sum[:])},
		Version: store.Version{version}, Expires: clock.System().Add(time.Hour).Truncate(time.Second), Value: []byte{version},
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("never happened")
		panic("unreachable")
	}
}

// Changes of another process are heard of: updates and deletions, each once.
func TestWatch(t *testing.T) {
	t.Parallel()
	path := file(t)
	a, b := open(t, path, env()), open(t, path, env())
	before := record(0, 1)
	r, u := record(1, 1), record(1, 2)
	if err := errors.Join(a.Create(t.Context(), before), a.Delete(t.Context(), before.Key, store.Version{})); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	keys, ended := make(chan store.Key, 1000), make(chan error, 1)
	go func() { ended <- b.(store.Watcher).Watch(ctx, func(k store.Key) { keys <- k }) }()
	if k := receive(t, keys); k != (store.Key{}) {
		t.Fatalf("the first report is %v, not that anything may have changed", k)
	}
	if err := errors.Join(a.Create(t.Context(), r), a.Update(t.Context(), u, r.Version)); err != nil {
		t.Fatal(err)
	}
	if k := receive(t, keys); k != r.Key {
		t.Errorf("an update reported %v", k)
	}
	if err := a.Delete(t.Context(), r.Key, u.Version); err != nil {
		t.Fatal(err)
	}
	if k := receive(t, keys); k != r.Key {
		t.Errorf("a deletion reported %v", k)
	}
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
	if len(keys) > 0 {
		t.Errorf("reported more than happened: %v", <-keys)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	now, err := open(t, file(t), env()).(store.Pinger).Ping(t.Context())
	if off := clock.System().Sub(now); err != nil || off.Abs() > time.Minute {
		t.Errorf("the clock is off by %v, %v", off, err)
	}
}
