// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// One token's answer is no other's, also while both are looked up.
func TestSec_H11_TokensDoNotShareAnswers(t *testing.T) {
	t.Parallel()
	b := setup()
	b.admit(t, good)
	for _, token := range []string{"mcpo_at_unknown", narrow, elsewhere} {
		if w, _ := b.answer(b.request(token)); w.Code < 400 {
			t.Errorf("%s passes after another token did", token)
		}
		if pass, _, err := b.Known(b.request(token)); pass != nil || err != nil {
			t.Errorf("%s is known: %v, %v", token, pass, err)
		}
	}
	if got, want := hash("x"), sha256.Sum256([]byte("x")); got != want {
		t.Error("hash is another one")
	}
	a, z := key{token: [32]byte{1}, realm: [16]byte{1}}, flight(key{}, 0)
	for name, other := range map[string]string{
		"token": flight(key{token: [32]byte{1}}, 0), "realm": flight(key{realm: [16]byte{1}}, 0), "epoch": flight(key{}, 1), "all": flight(a, 1),
	} {
		if other == z || len(other) != 32+16+8 {
			t.Errorf("%s: %q", name, other)
		}
	}
}

// What this node knows needs nobody; everything else is left to Admit.
func TestKnown(t *testing.T) {
	t.Parallel()
	b := setup()
	if pass, _, err := b.Known(b.request(good)); pass != nil || err != nil || b.lookups.Load() != 0 {
		t.Errorf("before the first look-up: %v, %v", pass, err)
	}
	b.admit(t, good)
	pass, _, err := b.Known(b.request(good))
	if pass == nil || err != nil || pass.Subject() != "t.o" || b.lookups.Load() != 1 {
		t.Errorf("after it: %v, %v", pass, err)
	}
	for want, req := range map[error]Request{
		errNoToken: b.request(""), errMalformed: b.request("a b"), errOrigin: b.request(good, "Origin", "https://evil.example"), errUnset: {},
	} {
		if pass, _, err := b.Known(req); pass != nil || !errors.Is(err, want) {
			t.Errorf("%v, %v; want %v", pass, err, want)
		}
	}
	other := b.request(good)
	other.Target = NewTarget(b.policy, &policy.Resource{URL: "https://h.example/other", Scopes: oauth.Scopes{"mcp"}})
	if pass, _, err := b.Known(other); pass != nil || err != nil {
		t.Errorf("at another resource: %v, %v", pass, err)
	}
	b.clock.Advance(30 * time.Second)
	if pass, _, err := b.Known(b.request(good)); pass != nil || err != nil {
		t.Errorf("after the entry's end: %v, %v", pass, err)
	}
}

func TestInventedTokensAreNotLookedUp(t *testing.T) {
	t.Parallel()
	b := setup()
	b.invented = func(token string) bool { return token == good }
	if w, _ := b.answer(b.request(good)); w.Code != 401 || b.lookups.Load() != 0 {
		t.Errorf("%d after %d look-ups", w.Code, b.lookups.Load())
	}
}

// A JWT that wears out before the answer does is made anew.
func TestShortJWT(t *testing.T) {
	t.Parallel()
	b := setup()
	b.config.Mint = func(context.Context, *Access, *policy.Policy, *policy.Resource) (string, time.Time, error) {
		return "jwt", b.clock.Now().Add(15 * time.Second), nil
	}
	for seconds, lookups := range []int32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2} {
		b.admit(t, good)
		if n := b.lookups.Load(); n != lookups {
			t.Errorf("after %d s: %d look-ups, want %d", seconds, n, lookups)
		}
		b.clock.Advance(time.Second)
	}
}

func TestDefaultsOfAGuard(t *testing.T) {
	t.Parallel()
	for given, want := range map[int]int{0: DefaultMaxEntries, -1: DefaultMaxEntries, 1: 1, 5: 5} {
		if g := New(Config{MaxEntries: given}); g.cache.max != want {
			t.Errorf("%d entries become %d", given, g.cache.max)
		}
	}
	if c := newCache(0); c.max != 1 {
		t.Errorf("%d", c.max)
	}
	g := New(Config{})
	if g.config.Events == nil || g.config.Stats == nil {
		t.Error("there is nobody to tell")
	}
	g.config.Events.Emit(t.Context(), event.Event{})
	stats := new(Stats)
	if g := New(Config{Stats: stats}); g.config.Stats != stats {
		t.Error("the counters are others")
	}
}

// seeing tells what contexts look-ups get.
type seeing struct {
	*bench
	ctx context.Context
}

func (s *seeing) Access(ctx context.Context, token string) (*Access, error) {
	s.ctx = ctx
	return s.bench.Access(ctx, token)
}

func TestLookupIsBoundedAndReleased(t *testing.T) {
	t.Parallel()
	b := setup()
	s := &seeing{bench: b}
	b.config.Grants = s
	b.admit(t, good)
	if _, ok := s.ctx.Deadline(); !ok || s.ctx.Err() == nil {
		t.Error("the context of a look-up has no end")
	}
	// A flight that comes after another one finds its answer.
	req := b.request(good)
	k := key{token: hash(good), realm: b.target.realm}
	if e, err := b.Guard.answer(t.Context(), Question{req: req, key: k, token: good}); err != nil || e != b.cache.get(k) || b.lookups.Load() != 1 {
		t.Errorf("%v, %v after %d look-ups", e, err, b.lookups.Load())
	}
	// What stops the signature is what the log is told.
	b.jwt = func(int32) (string, error) { return "jwt", errStore }
	if _, err := b.mintOf(t); !errors.Is(err, errStore) {
		t.Errorf("%v", err)
	}
}

func (b *bench) mintOf(t *testing.T) (*entry, error) {
	t.Helper()
	return b.Guard.mint(t.Context(), b.target, key{}, b.tokens[good], start)
}

func TestResultOfEachRefusal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want Result
		name string
	}{
		{errStore, Unavailable, "unavailable"},
		{errNoToken, NoToken, "no_token"},
		{errOrigin, OriginRefused, "origin_refused"},
		{errEarlyData, EarlyData, "early_data"},
		{errStreams, TooManyStreams, "too_many_streams"},
		{errExpired, InvalidToken, "invalid_token"},
		{errPolicy, InvalidToken, "invalid_token"},
		{oauth.New(oauth.InvalidToken, "x"), InvalidToken, "invalid_token"},
		{insufficient(nil), InsufficientScope, "insufficient_scope"},
		{errQuery, InvalidRequest, "invalid_request"},
		{errSeveralHeaders, InvalidRequest, "invalid_request"},
	} {
		if got := resultOf(asRefusal(tt.err)); got != tt.want || got.String() != tt.name {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.name)
		}
	}
	all := Results()
	if len(all) != int(results) || all[0] != Passed || all[0].String() != "passed" || all[len(all)-1] != Unavailable {
		t.Errorf("%v", all)
	}
}

func TestStatsCount(t *testing.T) {
	t.Parallel()
	b := setup()
	req := b.request(good)
	pass, err := b.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(3 * time.Microsecond)
	pass.Apply(req.HTTP)
	pass.Close()
	b.answer(b.request(""))
	s := b.config.Stats
	if s.Count(Passed) != 1 || s.Count(NoToken) != 1 || s.Count(InvalidToken) != 0 {
		t.Errorf("%d passed, %d without token", s.Count(Passed), s.Count(NoToken))
	}
	count, sum, buckets := s.Histogram()
	if count != 2 || sum != 3e-6 || len(buckets) != len(Buckets) || buckets[1e-6] != 1 || buckets[2e-6] != 1 || buckets[5e-6] != 2 || buckets[1] != 2 {
		t.Errorf("%d in %g s: %v", count, sum, buckets)
	}
	for took, want := range map[time.Duration]int{
		-1: 0, 0: 0, time.Microsecond: 0, time.Microsecond + 1: 1, 2 * time.Microsecond: 1, time.Second: len(Buckets) - 1, time.Second + 1: len(Buckets),
	} {
		if got := bucketOf(took); got != want {
			t.Errorf("%v is in bucket %d", took, got)
		}
	}
	// A clock that is set back costs nothing; what takes longer than every bound counts.
	late := new(Stats)
	late.observe(req.HTTP, Passed, -time.Second)
	late.observe(req.HTTP, Passed, time.Hour)
	if count, sum, buckets := late.Histogram(); count != 2 || sum != 3600 || buckets[1] != 1 {
		t.Errorf("%d in %g s: %v", count, sum, buckets)
	}
	seen := map[int]bool{}
	for port := range 100 {
		address := "203.0.113.7:512" + string([]byte{'0' + byte(port/10), '0' + byte(port%10)})
		i := stripeOf(address)
		if i < 0 || i >= stripes {
			t.Fatalf("%s: stripe %d", address, i)
		}
		seen[i] = true
	}
	if len(seen) != stripes || stripeOf("") != 0 || stripeOf("a") < 0 {
		t.Errorf("%d stripes are used", len(seen))
	}
}

// many is grants that wait until all that may be asked together are.
type many struct {
	*bench
	now, most atomic.Int32
}

func (m *many) Alive(context.Context, [16]byte) error {
	for n := m.now.Add(1); ; {
		most := m.most.Load()
		if n <= most || m.most.CompareAndSwap(most, n) {
			break
		}
	}
	<-time.After(time.Second)
	m.now.Add(-1)
	return nil
}

func TestRechecksAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup()
		m := &many{bench: b}
		b.config.Grants = m
		for i := range 3 * recheckers {
			b.Streams().enter(&stream{ctx: passContext{parent: t.Context()}}, [32]byte{byte(i)}, [16]byte{byte(i)}, 0)
		}
		b.Recheck(t.Context())
		if n := m.most.Load(); n != recheckers {
			t.Errorf("%d at once", n)
		}
	})
}

func TestSuspicions(t *testing.T) {
	t.Parallel()
	b := setup()
	ended, closed := b.open(t)
	defer closed()
	wake := b.Streams().Suspects()
	b.Changed([32]byte{1})
	b.Changed([32]byte{1})
	<-wake
	select {
	case <-wake:
		t.Error("one suspicion is delivered twice")
	default:
	}
	b.RecheckSuspects(t.Context())
	b.RecheckSuspects(t.Context())
	if n := b.checks.Load(); n != 1 {
		t.Errorf("%d checks of one suspicion", n)
	}
	// A site that ends cuts its streams itself; a check that it stopped says nothing.
	b.end(1, errExpired)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	b.Recheck(stopped)
	if ended() {
		t.Error("a check that was stopped has ended the stream")
	}
	s := b.Streams()
	for i, tt := range []struct {
		record  byte
		unknown bool
		want    int
	}{{9, true, 0}, {9, false, 0}, {1, true, 1}, {1, true, 2}, {1, false, 0}, {1, true, 1}} {
		if got := s.outcome([32]byte{tt.record}, tt.unknown); got != tt.want {
			t.Errorf("outcome %d: %d, want %d", i, got, tt.want)
		}
	}
}

func TestRegistryOfStreams(t *testing.T) {
	t.Parallel()
	one := func() *stream { return &stream{ctx: passContext{parent: t.Context()}} }
	var s Streams
	enter := func(st *stream, grant byte, limit int) bool {
		return s.enter(st, [32]byte{grant}, [16]byte{grant}, limit)
	}
	a, b, c := one(), one(), one()
	if s.full([32]byte{1}, 1) {
		t.Error("full while nothing is open")
	}
	if !enter(a, 1, 1) || enter(b, 1, 1) || !enter(c, 2, 1) {
		t.Error("a limit of one is another")
	}
	if !s.full([32]byte{1}, 1) || s.full([32]byte{1}, 2) || s.full([32]byte{3}, 1) || s.full([32]byte{3}, 2) {
		t.Error("full is judged wrongly")
	}
	if !enter(b, 1, 0) || s.Count([32]byte{1}) != 2 || s.Count([32]byte{2}) != 1 || s.Total() != 3 {
		t.Errorf("%d and %d of %d", s.Count([32]byte{1}), s.Count([32]byte{2}), s.Total())
	}
	// A stream that is there already is there once, and never too many.
	if !enter(b, 1, 1) || s.Count([32]byte{1}) != 2 || s.Total() != 3 {
		t.Errorf("%d of %d after a stream entered twice", s.Count([32]byte{1}), s.Total())
	}
	// Two of the first grant fill no other's limit of two.
	if !s.full([32]byte{1}, 2) || s.full([32]byte{2}, 2) {
		t.Error("grants share a limit")
	}
	s.leave(a)
	s.leave(a)
	if s.Count([32]byte{1}) != 1 || s.Total() != 2 {
		t.Errorf("%d of %d", s.Count([32]byte{1}), s.Total())
	}
	s.leave(b)
	s.leave(c)
	s.leave(c)
	if s.Total() != 0 || len(s.open) != 0 {
		t.Errorf("%d in %d grants", s.Total(), len(s.open))
	}
	s.EndAll()
	late := one()
	if !enter(late, 3, 1) || !late.cut.Load() || late.ctx.Err() == nil || s.Total() != 0 {
		t.Error("a stream after the end of all is not ended, or refused")
	}
}

func TestChangedAllForgetsEverything(t *testing.T) {
	t.Parallel()
	b := setup()
	b.admit(t, good)
	delete(b.tokens, good)
	b.ChangedAll()
	if w, _ := b.answer(b.request(good)); w.Code != http.StatusUnauthorized || b.Len() != 0 {
		t.Errorf("%d with %d entries", w.Code, b.Len())
	}
}

func TestChallengeIsForItsResource(t *testing.T) {
	t.Parallel()
	b := setup()
	w, _ := b.answer(b.request("", "Origin", "https://app.example"))
	if h := w.Header(); !strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer ") || h.Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Errorf("%v", h)
	}
	w, _ = b.answer(b.request("", "Origin", "https://evil.example"))
	if h := w.Header(); w.Code != http.StatusForbidden || h.Get("WWW-Authenticate") != "" || h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", w.Code, h)
	}
}
