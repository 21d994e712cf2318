// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
)

// lookupDeadline bounds a look-up that several requests wait for. The store bounds its
// calls more tightly.
const lookupDeadline = 5 * time.Second

var (
	errNoAccess = errors.New("the look-up returned neither access nor error")
	errMinted   = errors.New("the JWT for the backend is malformed or has already ended")
)

// renew asks the store about a token. Requests with the same token share one answer. An
// answer that was begun before an eviction is not shared with requests that came after
// it. A token that was not made here is refused before any of that.
func (g *Guard) renew(ctx context.Context, q Question) (*entry, error) {
	if err := g.config.Grants.Authentic(ctx, q.token); err != nil {
		return nil, err
	}
	if q.req.Origin != nil {
		ctx = event.WithOrigin(ctx, q.req.Origin(q.req.HTTP))
	}
	epoch := g.cache.epoch.Load()
	v, err, _ := g.flights.Do(flight(q.key, epoch), func() (any, error) {
		// One client that hangs up must not fail the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupDeadline)
		defer cancel()
		e, err := g.answer(ctx, q)
		if err == nil {
			g.cache.put(e, epoch)
		}
		return e, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*entry), nil
}

func flight(k key, epoch uint64) string {
	b := make([]byte, 0, len(k.token)+len(k.realm)+8)
	b = append(append(b, k.token[:]...), k.realm[:]...)
	return string(binary.BigEndian.AppendUint64(b, epoch))
}

// answer reads the token's record and makes the JWT for the backend. A JWT that says the
// same as the access is used again: one signature per access token.
func (g *Guard) answer(ctx context.Context, q Question) (*entry, error) {
	now, req := g.config.Now(), q.req
	old := g.cache.get(q.key)
	if old != nil && old.ready(now.UnixNano()) {
		return old, nil // a flight before this one has just answered
	}
	access, err := g.config.Grants.Access(ctx, q.token)
	if err != nil {
		return nil, err
	}
	if access, err = g.verify(ctx, req.Target, access, q.token); err != nil {
		return nil, err
	}
	if err := check(req.Target, access, now); err != nil {
		return nil, err
	}
	claims := access.digest()
	var e *entry
	if old != nil && old.claims == claims && now.UnixNano() < old.renew {
		e = newEntry(q.key, req.Target, access, old.get(textAuthorization))
		e.renew = old.renew
	} else if e, err = g.mint(ctx, req.Target, q.key, access, now); err != nil {
		return nil, err
	}
	e.claims = claims
	g.note(ctx, req, e, old, now)
	until := earlier(now.Add(req.Target.Policy.Lifetimes.GuardCache), access.Expires)
	if !access.Until.IsZero() {
		until = earlier(until, access.Until)
	}
	e.until = until.UnixNano()
	return e, nil
}

// noteEvery is how often the use of a token is an event on one node.
const noteEvery = 5 * time.Minute

// note emits the use of a token, unless it did so lately.
func (g *Guard) note(ctx context.Context, req Request, e, old *entry, now time.Time) {
	if old != nil && now.UnixNano()-old.noted < int64(noteEvery) {
		e.noted = old.noted
		return
	}
	e.noted = now.UnixNano()
	g.config.Events.Emit(ctx, event.Event{
		Kind: event.TokenUsed, Client: e.get(textClient), Person: e.get(textSubject), Grant: hex.EncodeToString(e.grant[:]),
		Token: event.TokenHash(e.key.token), Resource: req.Target.Resource.URL,
	})
}

// check applies the policy of the request to what the token stands for.
func check(t *Target, a *Access, now time.Time) error {
	if a == nil {
		return errNoAccess
	}
	if !now.Before(a.Expires) {
		return errExpired
	}
	// MCP authorization: "MCP servers MUST validate that access tokens were issued
	// specifically for them as the intended audience".
	if !t.Resource.Same(a.Resource) {
		return errResource
	}
	if !t.Policy.Allow.Permits(a.Person) {
		return errPolicy
	}
	if !t.Policy.Satisfied(t.Resource, a.Scopes) {
		return insufficient(a.Scopes)
	}
	return nil
}

// mint makes the backend's JWT, which is reused until two thirds of its life.
func (g *Guard) mint(ctx context.Context, t *Target, k key, a *Access, now time.Time) (*entry, error) {
	jwt, expires, err := g.config.Mint(ctx, a, t.Policy, t.Resource)
	if err != nil {
		return nil, err
	}
	life := expires.Sub(now)
	if life <= 0 || !token68(jwt) {
		return nil, errMinted
	}
	e := newEntry(k, t, a, "Bearer "+jwt)
	e.renew = now.Add(life / 3 * 2).UnixNano()
	return e, nil
}
