// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/faultproxy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// watching starts a watch, and returns when nothing is missed any more.
func watching(t *testing.T, s *redis.Store) (told chan store.Key, ended chan error) {
	t.Helper()
	told, ended = make(chan store.Key, 100), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- s.Watch(ctx, func(k store.Key) { told <- k }) }()
	t.Cleanup(cancel)
	if k := receive(t, told); k != (store.Key{}) {
		t.Fatalf("the watch began with %v", k)
	}
	return told, ended
}

func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came")
	}
	return v
}

// Once the watch has begun, exactly the changes of others are told: no own ones, none of
// other kinds, none of another prefix.
func TestWatchTellsOfOthers(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	e := systemEnv()
	mine, theirs := redis.Options{Addresses: []string{m.Addr()}, Prefix: "a:"}, redis.Options{Addresses: []string{m.Addr()}, Prefix: "b:"}
	s, other, stranger := openStore(t, mine, e), openStore(t, mine, e), openStore(t, theirs, e)
	defer s.Close()
	defer other.Close()
	defer stranger.Close()
	told, _ := watching(t, s)
	r, code := grant(1, e.Now().Add(time.Hour)), grant(2, e.Now().Add(time.Hour))
	code.Kind = "code"
	wantNil(t, s.Create(t.Context(), r))
	wantNil(t, other.Create(t.Context(), code))
	wantNil(t, stranger.Create(t.Context(), r))
	u := next(r)
	wantNil(t, other.Update(t.Context(), u, r.Version))
	wantNil(t, s.Update(t.Context(), next(u), u.Version))
	last := grant(3, e.Now().Add(time.Hour))
	wantNil(t, other.Create(t.Context(), last))
	for _, want := range []store.Key{r.Key, last.Key} {
		if k := receive(t, told); k != want {
			t.Errorf("told of %v, want %v", k, want)
		}
	}
}

// A watch that may have missed something says so, however the connection ends.
func TestWatchBreaks(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(*faultproxy.Proxy){
		"cut":    func(p *faultproxy.Proxy) { p.Cut() },
		"silent": func(p *faultproxy.Proxy) { p.Set(faultproxy.Silence) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := faultproxy.New(t, miniredis.RunT(t).Addr())
			s := openStore(t, redis.Options{Addresses: []string{p.Addr()}}, systemEnv())
			defer s.Close()
			_, ended := watching(t, s)
			breaks(p)
			err := receive(t, ended)
			wantUnknown(t, err)
			if !strings.Contains(err.Error(), "may have been missed") {
				t.Errorf("error is %v", err)
			}
			p.Set(faultproxy.Pass)
			watching(t, s) // and it can be begun again
		})
	}
}

// A silent watch is asked whether it still lives, and goes on.
func TestWatchOutlivesSilence(t *testing.T) {
	t.Parallel()
	e := systemEnv()
	o := redis.Options{Addresses: []string{redistest.Start(t).Addr}, Prefix: "a:"}
	s, other := openStore(t, o, e), openStore(t, o, e)
	defer s.Close()
	defer other.Close()
	told, ended := watching(t, s)
	select {
	case err := <-ended:
		t.Fatalf("the watch ended: %v", err)
	case <-time.After(2*redis.WatchSilence + time.Second):
	}
	r := grant(1, e.Now().Add(time.Hour))
	wantNil(t, other.Create(t.Context(), r))
	if k := receive(t, told); k != r.Key {
		t.Errorf("told of %v", k)
	}
}

// Who may neither publish nor subscribe can still work, and is told what is missing.
func TestWatchWithoutRights(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "user deaf on >"+password+" ~* resetchannels +@all")
	e := systemEnv()
	s := openStore(t, redis.Options{Addresses: []string{server.Addr}, Username: "deaf", Password: secret.New(password)}, e)
	defer s.Close()
	r := grant(1, e.Now().Add(time.Hour))
	wantNil(t, s.Create(t.Context(), r))
	wantNil(t, s.Update(t.Context(), next(r), r.Version))
	err := s.Watch(t.Context(), func(store.Key) { t.Error("it is told something") })
	wantUnknown(t, err)
	if err == nil || !strings.Contains(err.Error(), "lacks rights") {
		t.Errorf("error is %v", err)
	}
}
