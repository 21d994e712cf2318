// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// judge is a Verifier that says what a test wants.
type judge struct {
	verify func(a *Access, token string) (*Access, error)
	keys   map[string]seal.Key // by token
	gen    uint32
	opened atomic.Int32
	alive  func(key seal.Key) error
}

func (j *judge) Verify(_ context.Context, _ *Target, a *Access, token string) (*Access, error) {
	return j.verify(a, token)
}

func (j *judge) Key(token, holder string) (seal.Key, uint32, error) {
	j.opened.Add(1)
	key, ok := j.keys[token+holder]
	if !ok {
		return seal.Key{}, 0, errStore
	}
	return key, j.gen, nil
}

func (j *judge) Alive(_ context.Context, _ [16]byte, key seal.Key) error { return j.alive(key) }

// judged is a bench with a Verifier.
func judged(t *testing.T) (*bench, *judge) {
	t.Helper()
	b := setup()
	j := &judge{verify: func(a *Access, _ string) (*Access, error) { return a, nil }, keys: map[string]seal.Key{}, alive: func(seal.Key) error { return nil }}
	b.Guard = New(Config{Grants: b, Verifier: j, Mint: b.mint, Now: b.clock.Now, Events: b})
	return b, j
}

// What is due before the memory of a node would ask again makes it ask; a hit asks nobody.
func TestVerifierBoundsTheMemory(t *testing.T) {
	t.Parallel()
	b, j := judged(t)
	verified := 0
	j.verify = func(a *Access, token string) (*Access, error) {
		if token != good {
			t.Errorf("asked about %q", token)
		}
		verified++
		now := *a
		now.Until = b.clock.Now().Add(10 * time.Second)
		return &now, nil
	}
	b.admit(t, good)
	b.clock.Advance(10*time.Second - 1)
	b.admit(t, good)
	if verified != 1 || b.lookups.Load() != 1 {
		t.Errorf("%d checks and %d look-ups within the time", verified, b.lookups.Load())
	}
	b.clock.Advance(1)
	b.admit(t, good)
	if verified != 2 || b.lookups.Load() != 2 {
		t.Errorf("%d checks and %d look-ups after it", verified, b.lookups.Load())
	}
	// A time that is later than what the memory keeps anyhow changes nothing.
	j.verify = func(a *Access, _ string) (*Access, error) {
		verified++
		now := *a
		now.Until = b.clock.Now().Add(time.Hour)
		return &now, nil
	}
	b.clock.Advance(10 * time.Second)
	b.admit(t, good)
	b.clock.Advance(30 * time.Second)
	b.admit(t, good)
	if verified != 4 {
		t.Errorf("%d checks", verified)
	}
}

// The three outcomes of a Verifier are those of a look-up.
func TestSec_G09_VerifierDecides(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err    error
		status int
	}{
		"no":      {oauth.New(oauth.InvalidToken, "The access token is not valid."), http.StatusUnauthorized},
		"unknown": {errStore, http.StatusServiceUnavailable},
	} {
		b, j := judged(t)
		j.verify = func(*Access, string) (*Access, error) { return nil, tt.err }
		if w, _ := b.answer(b.request(good)); w.Code != tt.status || tt.status == http.StatusServiceUnavailable && w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
	b, j := judged(t)
	j.verify = func(a *Access, _ string) (*Access, error) {
		now := *a
		now.Person.Name = "New Name"
		return &now, nil
	}
	if p := b.admit(t, good); p.Name() != "New Name" {
		t.Errorf("the request passes as %q", p.Name())
	}
}

func dataKey(t *testing.T, b byte) seal.Key {
	t.Helper()
	raw := make([]byte, seal.KeySize)
	raw[0] = b
	k, err := seal.NewKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Streams keep the newest data key that a token brought, and only while they are open.
func TestStreamsKeepTheDataKey(t *testing.T) {
	t.Parallel()
	b, j := judged(t)
	b.tokens[good].Holder = "holder"
	var seen []seal.Key
	j.alive = func(k seal.Key) error { seen = append(seen, k); return nil }
	last := func() seal.Key {
		b.Recheck(t.Context())
		return seen[len(seen)-1]
	}
	_, close0 := b.open(t)
	if !last().IsZero() {
		t.Error("a key that does not open is kept")
	}
	old, young := dataKey(t, 1), dataKey(t, 2)
	j.keys[good+"holder"], j.gen = young, 2
	_, close1 := b.open(t)
	if k := last(); k.IsZero() || !k.Equal(young) {
		t.Error("the key is not kept")
	}
	j.keys[good+"holder"], j.gen = old, 1
	_, close2 := b.open(t)
	if !last().Equal(young) {
		t.Error("an older token took the key away")
	}
	close0()
	close1()
	close2()
	n := len(seen)
	if b.Recheck(t.Context()); len(seen) != n {
		t.Error("a session without streams was looked at")
	}
	_, close3 := b.open(t)
	defer close3()
	if !last().Equal(old) {
		t.Error("a closed stream left its key behind")
	}
}

// A GET that waits for its stream counts as one; what is no stream opens no key.
func TestOnlyStreamsOpenTheDataKey(t *testing.T) {
	t.Parallel()
	b, j := judged(t)
	b.tokens[good].Holder = "holder"
	j.keys[good+"holder"] = dataKey(t, 1)
	req := b.request(good)
	pass := b.answerTo(t, req)
	w, _ := pass.Wrap(httptest.NewRecorder(), req.HTTP, nil)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	pass.Close()
	if j.opened.Load() != 0 {
		t.Error("a plain answer opened the key")
	}
	waiting := b.answerTo(t, b.accepting(http.MethodGet))
	defer waiting.Close()
	if j.opened.Load() != 1 {
		t.Errorf("%d keys were opened for a waiting GET", j.opened.Load())
	}
	b.tokens[good].Holder = ""
	b.ChangedAll()
	another := b.answerTo(t, b.accepting(http.MethodGet))
	defer another.Close()
	if j.opened.Load() != 1 {
		t.Error("a key was opened without a holder")
	}
}

// The Verifier's no cuts streams as that of the look-up does.
func TestSec_G09_VerifierCutsStreams(t *testing.T) {
	t.Parallel()
	b, j := judged(t)
	ended, closed := b.open(t)
	defer closed()
	b.end(1, errExpired) // what the look-up says is not asked for
	b.Recheck(t.Context())
	if ended() {
		t.Error("cut while the Verifier says yes")
	}
	j.alive = func(seal.Key) error { return errExpired }
	b.Recheck(t.Context())
	if !ended() {
		t.Error("the stream goes on")
	}
}

// Of two keys of one generation the later one is kept; a grant without streams keeps none.
func TestKeysOfStreams(t *testing.T) {
	t.Parallel()
	var s Streams
	record := [32]byte{1}
	s.keep(record, dataKey(t, 1), 1)
	st := new(stream)
	s.enter(st, record, [16]byte{1}, 0)
	kept := func() seal.Key { return s.open[record].key }
	if !kept().IsZero() {
		t.Error("a key came before the stream")
	}
	for _, step := range []struct{ key, gen, want byte }{{1, 2, 1}, {2, 2, 2}, {3, 1, 2}, {4, 3, 4}} {
		s.keep(record, dataKey(t, step.key), uint32(step.gen))
		if !kept().Equal(dataKey(t, step.want)) {
			t.Errorf("after %+v another key is kept", step)
		}
	}
}

// A key that does not open leaves the one that is kept; without a Verifier nobody opens any,
// and a look-up that says nothing at all is no yes.
func TestKeyThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	b, j := judged(t)
	b.tokens[good].Holder = "holder"
	var seen seal.Key
	j.alive = func(k seal.Key) error { seen = k; return nil }
	j.keys[good+"holder"] = dataKey(t, 1)
	_, first := b.open(t)
	defer first()
	delete(j.keys, good+"holder")
	_, second := b.open(t)
	defer second()
	if b.Recheck(t.Context()); seen.IsZero() || !seen.Equal(dataKey(t, 1)) {
		t.Error("the key is gone")
	}
	j.verify = func(a *Access, _ string) (*Access, error) {
		if a == nil {
			t.Error("asked about nothing")
		}
		return a, nil
	}
	b.tokens[narrow] = nil
	if pass, err := b.Admit(t.Context(), b.request(narrow)); pass != nil || err == nil {
		t.Errorf("nothing was taken for a yes: %v", err)
	}
	plain := setup()
	plain.tokens[good].Holder = "holder"
	_, third := plain.open(t)
	third()
}

// What a look-up makes happen says from where the request came.
func TestOriginOfALookup(t *testing.T) {
	t.Parallel()
	b := setup()
	b.Guard = New(Config{Grants: b, Mint: b.mint, Now: b.clock.Now, Events: event.Sinks{b}})
	req := b.request(good)
	req.Origin = func(r *http.Request) event.Origin { return event.Origin{Address: r.RemoteAddr} }
	pass, err := b.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	pass.Close()
	if len(b.uses) != 1 || b.uses[0].Address != req.HTTP.RemoteAddr || b.uses[0].Address == "" {
		t.Errorf("%+v", b.uses)
	}
}
