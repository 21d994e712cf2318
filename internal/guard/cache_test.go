// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"encoding/hex"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

func TestHitsAskNobody(t *testing.T) {
	t.Parallel()
	b := setup()
	first := b.admit(t, good)
	b.fail = errStore
	for range 10 {
		if p := b.admit(t, good); p.authorization != first.authorization {
			t.Errorf("%s, then %s", first.authorization, p.authorization)
		}
	}
	// security.md §3.1: allowed until the entry's end, then unknown.
	b.clock.Advance(30 * time.Second)
	if w, _ := b.answer(b.request(good)); w.Code != 503 {
		t.Errorf("status %d", w.Code)
	}
	if n := b.lookups.Load(); n != 2 {
		t.Errorf("%d look-ups", n)
	}
	// The outage over, the same token goes on.
	b.fail = nil
	b.admit(t, good)
}

func TestOneJWTUntilTwoThirdsOfItsLife(t *testing.T) {
	t.Parallel()
	b := setup()
	for at := range 20 {
		want := "Bearer jwt." + strconv.Itoa(at/10+1) // 10 × 20 s = ⅔ × 5 min
		if p := b.admit(t, good); p.authorization[0] != want {
			t.Errorf("after %d s: %s, want %s", at*20, p.authorization, want)
		}
		b.clock.Advance(20 * time.Second)
	}
	if n := b.minted.Load(); n != 2 {
		t.Errorf("%d signatures", n)
	}
}

func TestChangedPersonGetsANewJWT(t *testing.T) {
	t.Parallel()
	b := setup()
	b.admit(t, good)
	changed := *b.tokens[good]
	changed.Person.Roles = []string{"Admin"}
	b.tokens[good] = &changed
	b.clock.Advance(30 * time.Second)
	if p := b.admit(t, good); p.authorization[0] != "Bearer jwt.2" {
		t.Errorf("%s", p.authorization)
	}
}

func TestEntryEndsWithTheToken(t *testing.T) {
	t.Parallel()
	b := setup()
	b.tokens[good].Expires = start.Add(10 * time.Second)
	b.admit(t, good)
	b.clock.Advance(10 * time.Second)
	if w, _ := b.answer(b.request(good)); w.Code != 401 {
		t.Errorf("status %d", w.Code)
	}
}

func TestCacheOffAsksEachTime(t *testing.T) {
	t.Parallel()
	b := setup()
	b.policy.Lifetimes.GuardCache = 0
	b.admit(t, good)
	b.admit(t, good)
	if b.lookups.Load() != 2 || b.minted.Load() != 1 {
		t.Errorf("%d look-ups, %d signatures", b.lookups.Load(), b.minted.Load())
	}
}

func TestSec_H11_RefusalsAreNotKept(t *testing.T) {
	t.Parallel()
	b := setup()
	b.fail = errStore
	b.answer(b.request(good))
	b.fail = nil
	b.answer(b.request("mcpo_at_unknown"))
	b.answer(b.request(narrow))
	if n := b.Len(); n != 0 {
		t.Errorf("%d entries", n)
	}
	b.admit(t, good)
}

func TestSec_H11_ChangedPolicyIsAnotherEntry(t *testing.T) {
	t.Parallel()
	b := setup()
	b.admit(t, good)
	changed := *b.policy
	changed.Fingerprint = "p2"
	changed.Allow = policy.Allow{{{Attribute: "role", Values: []string{"Admin"}}}}
	req := b.request(good)
	req.Target = NewTarget(&changed, b.res)
	if w, _ := b.answer(req); w.Code != 401 {
		t.Errorf("status %d", w.Code)
	}
	b.admit(t, good) // the old configuration's requests keep theirs
	if n := b.lookups.Load(); n != 2 {
		t.Errorf("%d look-ups", n)
	}
}

func TestSec_H11_RevokedIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup()
	b.admit(t, good)
	delete(b.tokens, good)
	b.Changed([32]byte{9})
	b.admit(t, good)
	b.Changed([32]byte{1})
	if w, _ := b.answer(b.request(good)); w.Code != 401 {
		t.Errorf("status %d", w.Code)
	}
}

// A look-up that read the grant before it was revoked must neither be kept nor be shared
// with requests that come after.
func TestSec_H11_RevokedDuringTheLookup(t *testing.T) {
	t.Parallel()
	b := setup()
	b.gate, b.entered = make(chan struct{}), make(chan struct{}, 2)
	early := make(chan error, 1)
	go func() {
		_, err := b.Admit(context.Background(), b.request(good))
		early <- err
	}()
	<-b.entered
	b.Changed([32]byte{1})
	late := make(chan error, 1)
	go func() {
		_, err := b.Admit(context.Background(), b.request(good))
		late <- err
	}()
	<-b.entered // the second request asks for itself
	close(b.gate)
	if err := <-early; err != nil {
		t.Error(err)
	}
	if err := <-late; err != nil {
		t.Error(err)
	}
	b.gate, b.entered = nil, nil
	delete(b.tokens, good)
	b.Changed([32]byte{1})
	if w, _ := b.answer(b.request(good)); w.Code != 401 {
		t.Errorf("status %d", w.Code)
	}
}

func TestStaleAnswerIsNotKept(t *testing.T) {
	t.Parallel()
	c := newCache(100)
	epoch := c.epoch.Load()
	c.evict([32]byte{1})
	c.put(&entry{}, epoch)
	if c.len() != 0 {
		t.Error("kept an answer from before the eviction")
	}
	epoch = c.epoch.Load()
	c.clear()
	c.put(&entry{}, epoch)
	if c.len() != 0 {
		t.Error("kept an answer from before everything was forgotten")
	}
}

func TestSameTokenIsLookedUpOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup()
		b.gate = make(chan struct{})
		ctx, hangUp := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		ask := func(ctx context.Context) {
			if _, err := b.Admit(ctx, b.request(good)); err != nil {
				t.Error(err)
			}
		}
		wg.Go(func() { ask(ctx) })
		synctest.Wait()
		for range 50 {
			wg.Go(func() { ask(t.Context()) })
		}
		synctest.Wait()
		hangUp() // the client goes whose request the others wait for
		close(b.gate)
		wg.Wait()
		if b.lookups.Load() != 1 || b.minted.Load() != 1 {
			t.Errorf("%d look-ups, %d signatures", b.lookups.Load(), b.minted.Load())
		}
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()
	b := setup()
	b.admit(t, good)
	b.clock.Advance(200*time.Second - 1)
	if b.Sweep(); b.Len() != 1 {
		t.Error("the JWT was still good")
	}
	b.clock.Advance(1)
	if b.Sweep(); b.Len() != 0 {
		t.Error("a dead entry stayed")
	}
}

func TestDeadJWTIsNotSent(t *testing.T) {
	t.Parallel()
	b := setup()
	b.config.Mint = func(context.Context, *Access, *policy.Policy, *policy.Resource) (string, time.Time, error) {
		return "jwt", start, nil
	}
	if w, _ := b.answer(b.request(good)); w.Code != 503 || code(t, w) != string(oauth.TemporarilyUnavailable) {
		t.Errorf("status %d", w.Code)
	}
}

// The use of a token is an event once in five minutes and node, not at each look-up.
func TestFirstUseIsAnEvent(t *testing.T) {
	t.Parallel()
	b := setup()
	for range 22 { // look-ups, one each 30 s, over a bit more than ten minutes
		b.admit(t, good)
		b.admit(t, good)
		b.clock.Advance(30 * time.Second)
	}
	b.answer(b.request("mcpo_at_unknown"))
	if len(b.uses) != 3 {
		t.Fatalf("%d events", len(b.uses))
	}
	want := event.Event{
		Kind: event.TokenUsed, Client: "dcr_x", Person: "t.o", Grant: hex.EncodeToString(append([]byte{1}, make([]byte, 15)...)),
		Token: event.TokenHash(hash(good)), Resource: b.res.URL,
	}
	if b.uses[0] != want {
		t.Errorf("%+v, want %+v", b.uses[0], want)
	}
}
