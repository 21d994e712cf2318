// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// sessions refresh without a pause, each the record of its own, and send a write again
// while its outcome is unknown, as the server does.
type sessions struct {
	t    *testing.T
	s    store.Store
	stop chan struct{}
	wg   sync.WaitGroup
	// done counts the acknowledged writes of each session, unknown and lost those of all
	// whose outcome was unknown and that were undone later.
	done          []atomic.Int64
	unknown, lost atomic.Int64
	mayLose       bool
	last          []store.Record
}

// errStopped is the outcome of a write that nobody waited for.
var errStopped = errors.New("stopped")

// refresh starts n sessions.
func refresh(t *testing.T, s store.Store, n int, mayLose bool) *sessions {
	t.Helper()
	all := &sessions{t: t, s: s, stop: make(chan struct{}), mayLose: mayLose, last: make([]store.Record, n), done: make([]atomic.Int64, n)}
	for i := range n {
		all.last[i] = grant(i, systemEnv().Now().Add(time.Hour))
		wantNil(t, s.Create(t.Context(), all.last[i]))
		all.wg.Go(func() { all.run(i) })
	}
	return all
}

func (all *sessions) run(i int) {
	history := map[store.Version]store.Record{all.last[i].Version: all.last[i]}
	for {
		select {
		case <-all.stop:
			return
		default:
		}
		u := next(all.last[i])
		u.Value = fmt.Appendf(nil, "%x", u.Version)
		history[u.Version] = u
		switch err := all.send(u, all.last[i].Version); {
		case err == nil:
			all.last[i] = u
			all.done[i].Add(1)
		case errors.Is(err, errStopped):
			return
		case errors.Is(err, store.ErrConflict) && all.mayLose:
			seen, err := all.s.Get(context.Background(), u.Key)
			if err == nil {
				if _, mine := history[seen.Version]; !mine {
					all.t.Errorf("session %d found a version that it never wrote", i)
				}
				all.last[i] = history[seen.Version]
				all.lost.Add(1)
			} else if definite(err) {
				all.t.Errorf("session %d is gone: %v", i, err)
			}
		default:
			all.t.Errorf("session %d was told %v", i, err)
			return
		}
	}
}

// send sends one write until its outcome is known.
func (all *sessions) send(u store.Record, prev store.Version) error {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := all.s.Update(ctx, u, prev)
		if err == nil || definite(err) {
			cancel()
			return err
		}
		all.unknown.Add(1)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-all.stop:
			cancel()
			return errStopped
		}
		cancel()
	}
}

// progress returns once each session had so many more writes acknowledged.
func (all *sessions) progress(n int64) {
	all.t.Helper()
	for i := range all.done {
		target := all.done[i].Load() + n
		redistest.Eventually(all.t, "more writes are acknowledged", func() bool { return all.done[i].Load() >= target || all.t.Failed() })
	}
}

// end stops the sessions when each of them knows the outcome of its last write, and looks
// whether everything that was acknowledged is there.
func (all *sessions) end() {
	all.t.Helper()
	all.progress(2)
	close(all.stop)
	all.wg.Wait()
	for i, want := range all.last {
		got, err := all.s.Get(all.t.Context(), want.Key)
		if err != nil {
			all.t.Errorf("session %d: %v", i, err)
		} else if got.Version != want.Version {
			all.t.Errorf("session %d has %x, acknowledged was %x", i, got.Version, want.Version)
		}
	}
	done := int64(0)
	for i := range all.done {
		done += all.done[i].Load()
	}
	all.t.Logf("%d writes acknowledged, %d unknown, %d undone", done, all.unknown.Load(), all.lost.Load())
}

// With appendfsync always a crash takes nothing that was acknowledged.
func TestSec_N05_ServerCrashes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendonly yes", "appendfsync always")
	s := openStore(t, redis.Options{Addresses: []string{server.Addr}}, systemEnv())
	defer s.Close()
	all := refresh(t, s, 8, false)
	for range 3 {
		all.progress(10)
		server.Kill()
		seen := all.unknown.Load()
		redistest.Eventually(t, "the outage is noticed", func() bool { return all.unknown.Load() > seen })
		server.Run(t)
	}
	all.end()
}

// A failover in the middle of refreshes is never a "not found". It may undo the last
// writes, which Loss says.
func TestSec_N05_SentinelFailover(t *testing.T) {
	t.Parallel()
	group := redistest.StartSentinel(t)
	s := openStore(t, redis.Options{Addresses: []string{group.Sentinel.Addr}, Sentinel: redistest.Master}, systemEnv())
	defer s.Close()
	if s.Loss() == "" {
		t.Error("nothing is said about what a failover loses")
	}
	all := refresh(t, s, 8, true)
	all.progress(20)
	// What the replica never had cannot be there afterwards; that the sessions exist is not
	// among what may be undone here.
	group.AwaitReplica(t)
	group.Primary.Kill()
	group.Replica.AwaitPrimary(t)
	all.progress(20)
	all.end()
}

// The primary answers READONLY when it was made a replica, and MASTERDOWN or LOADING
// while it becomes one: all of it is unknown.
func TestDemotedPrimary(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := openStore(t, redis.Options{Addresses: []string{server.Addr}}, systemEnv())
	defer s.Close()
	all := refresh(t, s, 4, false)
	all.progress(20)
	admin := server.Client(t)
	wantNil(t, admin.ConfigSet(t.Context(), "replica-serve-stale-data", "no").Err())
	wantNil(t, admin.SlaveOf(t.Context(), "127.0.0.1", "1").Err())
	seen := all.unknown.Load()
	redistest.Eventually(t, "refused writes are noticed", func() bool { return all.unknown.Load() > seen+4 })
	_, err := s.Get(t.Context(), grant(0, time.Time{}).Key)
	wantUnknown(t, err)
	wantNil(t, admin.SlaveOf(t.Context(), "NO", "ONE").Err())
	all.end()
}

// The slots of all sessions move to another node, key by key, while they are refreshed.
func TestClusterSlotMoves(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	o := redis.Options{Addresses: []string{nodes[0].Addr}, Cluster: true, Prefix: "moving:"}
	s := openStore(t, o, systemEnv())
	defer s.Close()
	all := refresh(t, s, 6, false)
	all.progress(10)
	for i := range 6 {
		redistest.MoveSlot(t, nodes, "moving:r:"+site+":grant:"+grant(i, time.Time{}).ID)
		all.progress(10)
	}
	all.end()
}

// A node of the cluster goes away and comes back: its slots are unknown meanwhile.
func TestClusterNodeCrashes(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t, "appendonly yes", "appendfsync always")
	s := openStore(t, redis.Options{Addresses: []string{nodes[0].Addr, nodes[1].Addr}, Cluster: true}, systemEnv())
	defer s.Close()
	all := refresh(t, s, 8, false)
	all.progress(10)
	nodes[2].Kill()
	seen := all.unknown.Load()
	redistest.Eventually(t, "the outage is noticed", func() bool { return all.unknown.Load() > seen })
	nodes[2].Run(t)
	all.end()
}

// The scripts are gone after a flush, and are sent again.
func TestScriptsAreForgotten(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	e := systemEnv()
	s := openStore(t, redis.Options{Addresses: []string{server.Addr}}, e)
	defer s.Close()
	admin := server.Client(t)
	for range 2 {
		exercise(t, s, e.Now)
		wantNil(t, admin.ScriptFlush(t.Context()).Err())
	}
}

// A server whose memory is full refuses writes and goes on reading: nobody who is signed
// in must notice.
func TestFullMemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "maxmemory-policy noeviction")
	s := openStore(t, redis.Options{Addresses: []string{server.Addr}}, systemEnv())
	defer s.Close()
	r := grant(0, clock.System().Add(time.Hour))
	wantNil(t, s.Create(t.Context(), r))
	admin := server.Client(t)
	wantNil(t, admin.ConfigSet(t.Context(), "maxmemory", "1").Err())
	err := s.Create(t.Context(), grant(1, clock.System().Add(time.Hour)))
	wantUnknown(t, err)
	wantErr(t, err, store.ErrRefused)
	_, err = s.Get(t.Context(), r.Key)
	wantNil(t, err)
	wantNil(t, admin.ConfigSet(t.Context(), "maxmemory", "0").Err())
	wantNil(t, s.Create(t.Context(), grant(2, clock.System().Add(time.Hour))))
}
