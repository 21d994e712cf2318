// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// live is a bench in the time of a synctest bubble, whose token ends after life.
func live(life time.Duration) *bench {
	b := setup()
	b.config.Now, b.streams.now = clock.System, clock.System
	b.clock = clock.NewFake(clock.System())
	b.tokens[good].Expires = clock.System().Add(life)
	return b
}

func TestStreamEndsAtItsAge(t *testing.T) {
	t.Parallel()
	for until, life := range map[policy.Until]time.Duration{
		policy.UntilSession: time.Minute,   // it outlives its token
		policy.UntilToken:   2 * time.Hour, // the token would last longer
	} {
		synctest.Test(t, func(t *testing.T) {
			b := live(life)
			b.policy.Streams.Until, b.policy.Streams.MaxAge = until, time.Hour
			ended, closed := b.open(t)
			defer closed()
			<-time.After(time.Hour - 1)
			synctest.Wait()
			if ended() {
				t.Errorf("until %s: ended early", until)
			}
			<-time.After(1)
			synctest.Wait()
			if !ended() {
				t.Errorf("until %s: outlives its age", until)
			}
		})
	}
}

func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := live(10 * time.Minute)
		b.policy.Streams.Until = policy.UntilToken
		ended, closed := b.open(t)
		defer closed()
		<-time.After(10*time.Minute - 1)
		synctest.Wait()
		if ended() {
			t.Error("ended early")
		}
		<-time.After(1)
		synctest.Wait()
		if !ended() {
			t.Error("outlives its token")
		}
	})
}

// A token that ends while the backend still thinks gets its answer, which ends at once.
func TestStreamOfATokenThatHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := live(time.Minute)
		b.policy.Streams.Until = policy.UntilToken
		req := b.accepting(http.MethodGet)
		pass, err := b.Admit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		defer pass.Close()
		<-time.After(time.Hour)
		synctest.Wait()
		if pass.Cut() {
			t.Error("ended before there was an answer")
		}
		w, r := pass.Wrap(httptest.NewRecorder(), req.HTTP, nil)
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		synctest.Wait()
		if w.Status() != http.StatusOK || !pass.Cut() || r.Context().Err() == nil {
			t.Errorf("status %d, cut %v, %v", w.Status(), pass.Cut(), r.Context().Err())
		}
	})
}

// One timer serves all streams: each ends at its time or within a second of it, in
// whatever order they began, and the registry does not look more often than that.
func TestStreamsEndInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		began := clock.System()
		s := Streams{now: func() time.Time { looks.Add(1); return clock.System() }}
		ends := []time.Duration{
			7 * time.Second, 3 * time.Second, 3*time.Second + 1, 3500 * time.Millisecond, 3900 * time.Millisecond,
			time.Hour, 0, -time.Second, 90 * time.Second, 3*time.Second + time.Millisecond,
		}
		took := make([]time.Duration, len(ends))
		var streams []*stream
		for i, end := range ends {
			st := &stream{ctx: passContext{parent: t.Context()}}
			s.enter(st, [32]byte{byte(i % 3)}, [16]byte{byte(i % 3)}, 0)
			s.endBy(st, began.Add(end))
			streams = append(streams, st)
			go func() { <-st.ctx.Done(); took[i] = clock.System().Sub(began) }()
		}
		waiting := &stream{ctx: passContext{parent: t.Context()}}
		s.enter(waiting, [32]byte{9}, [16]byte{9}, 0)
		left := &stream{ctx: passContext{parent: t.Context()}}
		s.enter(left, [32]byte{9}, [16]byte{9}, 0)
		s.endBy(left, began.Add(time.Minute))
		s.leave(left)
		looks.Store(0)
		<-time.After(2 * time.Hour)
		synctest.Wait()
		for i, end := range ends {
			if late := took[i] - max(end, 0); !streams[i].cut.Load() || late < 0 || late > grain {
				t.Errorf("a stream until %v ended after %v", end, took[i])
			}
		}
		if waiting.cut.Load() || left.cut.Load() {
			t.Errorf("without a time: %v, not in the registry any more: %v", waiting.cut.Load(), left.cut.Load())
		}
		// 0, 3, 4, 5, 7, 60, 90, 3600 s, each with one look and one more for the next alarm.
		if slices.Sort(took); looks.Load() > 16 {
			t.Errorf("the registry looked %d times for streams that ended after %v", looks.Load(), took)
		}
		for _, st := range append(streams, waiting) {
			s.leave(st)
		}
	})
}

// A stream that ends before those that are open does not wait for them.
func TestShorterStreamComesLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := Streams{now: clock.System}
		long, short := &stream{ctx: passContext{parent: t.Context()}}, &stream{ctx: passContext{parent: t.Context()}}
		for st, end := range map[*stream]time.Duration{long: time.Hour, short: time.Minute} {
			s.enter(st, [32]byte{}, [16]byte{}, 0)
			s.endBy(st, clock.System().Add(end))
		}
		<-time.After(time.Minute)
		synctest.Wait()
		if !short.cut.Load() || long.cut.Load() {
			t.Errorf("short ended: %v, long ended: %v", short.cut.Load(), long.cut.Load())
		}
		s.EndAll()
		late := &stream{ctx: passContext{parent: t.Context()}}
		s.enter(late, [32]byte{}, [16]byte{}, 0)
		s.endBy(late, clock.System().Add(time.Second))
		if s.alarm.Stop() {
			t.Error("an alarm is set for streams of a site that has gone")
		}
	})
}
