// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/faultproxy"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
)

// counter is a proxy that counts round trips: requests that follow an answer.
type counter struct {
	addr  string
	trips atomic.Int64
}

func count(t *testing.T, target string) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{addr: l.Addr().String()}
	var running sync.WaitGroup
	t.Cleanup(func() { l.Close(); running.Wait() })
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			var waiting atomic.Bool
			running.Go(func() { relay(client, server, func() { c.trips.Add(boolean(waiting.CompareAndSwap(false, true))) }) })
			running.Go(func() { relay(server, client, func() { waiting.Store(false) }) })
		}
	})
	return c
}

func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func relay(from, to net.Conn, note func()) {
	defer to.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			note()
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// A cold look-up of the guard is one round trip, and so is a refresh; a new record is two.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	c := count(t, miniredis.RunT(t).Addr())
	e := systemEnv()
	s := openStore(t, redis.Options{Addresses: []string{c.addr}}, e)
	defer s.Close()
	exercise(t, s, e.Now) // the scripts are known afterwards
	r := grant(1, e.Now().Add(time.Hour))
	u := next(r)
	u.Expires = r.Expires.Add(time.Minute)
	for _, step := range []struct {
		what  string
		trips int64
		do    func() error
	}{
		{"create", 2, func() error { return s.Create(t.Context(), r) }},
		{"get", 1, func() error { _, err := s.Get(t.Context(), r.Key); return err }},
		{"update that extends", 1, func() error { return s.Update(t.Context(), u, r.Version) }},
		{"list", 2, func() error {
			_, err := s.List(t.Context(), store.Query{Site: r.Site, Kind: r.Kind, Person: r.Person})
			return err
		}},
		{"delete", 2, func() error { return s.Delete(t.Context(), r.Key, u.Version) }},
		{"get what is absent", 2, func() error {
			if _, err := s.Get(t.Context(), r.Key); !definite(err) {
				return err
			}
			return nil
		}},
	} {
		before := c.trips.Load()
		wantNil(t, step.do())
		if got := c.trips.Load() - before; got != step.trips {
			t.Errorf("%s: %d round trips, want %d", step.what, got, step.trips)
		}
	}
}

// The server does what it was asked and the answer never comes: the same write again is
// the same write.
func TestSec_N04_LostReply(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, miniredis.RunT(t).Addr())
	e := systemEnv()
	s := openStore(t, redis.Options{Addresses: []string{p.Addr()}}, e)
	defer s.Close()
	exercise(t, s, e.Now)
	r := grant(1, e.Now().Add(time.Hour))
	u, rival := next(r), next(r)
	steps := []func() error{
		func() error { return s.Create(t.Context(), r) },
		func() error { return s.Update(t.Context(), u, r.Version) },
		func() error { return s.Delete(t.Context(), r.Key, u.Version) },
	}
	for i, write := range steps {
		p.Set(faultproxy.DropReply)
		wantUnknown(t, write())
		p.Set(faultproxy.Pass)
		if i == 1 {
			wantErr(t, s.Update(t.Context(), rival, r.Version), store.ErrConflict)
		}
		wantNil(t, write())
	}
	_, err := s.Get(t.Context(), r.Key)
	wantErr(t, err, store.ErrNotFound)
}

// A server that hangs is unknown at the deadline of the caller.
func TestSilence(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, miniredis.RunT(t).Addr())
	e := systemEnv()
	s := openStore(t, redis.Options{Addresses: []string{p.Addr()}}, e)
	defer s.Close()
	p.Set(faultproxy.Silence)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.Get(ctx, grant(1, e.Now()).Key)
	wantUnknown(t, err)
	wantUnknown(t, s.Create(ctx, grant(1, e.Now())))
}

// A record that stands where another should be is not believed.
func TestSec_N03_WrongRecord(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	e := systemEnv()
	s := openStore(t, redis.Options{Addresses: []string{m.Addr()}, Prefix: "p:"}, e)
	defer s.Close()
	a, b := grant(1, e.Now().Add(time.Hour)), grant(2, e.Now().Add(time.Hour))
	wantNil(t, s.Create(t.Context(), a))
	wantNil(t, s.Create(t.Context(), b))
	raw, err := m.Get("p:r:" + a.Site + ":grant:" + a.ID)
	wantNil(t, err)
	wantNil(t, m.Set("p:r:"+b.Site+":grant:"+b.ID, raw))
	_, err = s.Get(t.Context(), b.Key)
	wantUnknown(t, err)
	wantUnknown(t, s.Create(t.Context(), next(b)))
	wantUnknown(t, s.Delete(t.Context(), b.Key, store.Version{1}))
	_, err = s.List(t.Context(), store.Query{Site: b.Site, Kind: b.Kind})
	wantUnknown(t, err)
}

// A server that answers "nothing" and "done" to everything is not believed either: both
// would be definite, and the first would log somebody out.
func TestSec_N03_WrongReply(t *testing.T) {
	t.Parallel()
	fake, err := server.NewServer("127.0.0.1:0")
	wantNil(t, err)
	defer fake.Close()
	wantNil(t, fake.Register("SET", func(c *server.Peer, _ string, _ []string) { c.WriteOK() }))
	wantNil(t, fake.Register("GET", func(c *server.Peer, _ string, args []string) {
		if strings.HasSuffix(args[0], "layout") {
			c.WriteBulk("1")
			return
		}
		c.WriteNull()
	}))
	wantNil(t, fake.Register("EVALSHA", func(c *server.Peer, _ string, _ []string) {
		c.WriteBulk(strings.Repeat("x", 32) + "d")
	}))
	e := systemEnv()
	s := openStore(t, redis.Options{Addresses: []string{fake.Addr().String()}}, e)
	defer s.Close()
	r := grant(1, e.Now().Add(time.Hour))
	_, err = s.Get(t.Context(), r.Key)
	wantUnknown(t, err)
	wantUnknown(t, s.Create(t.Context(), r))
	wantUnknown(t, s.Update(t.Context(), r, store.Version{1}))
	wantUnknown(t, s.Delete(t.Context(), r.Key, store.Version{}))
}
