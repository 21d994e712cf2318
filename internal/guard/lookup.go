// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"time"
)

// lookupDeadline bounds a look-up that several requests wait for. The store bounds its
// calls more tightly.
const lookupDeadline = 5 * time.Second

var (
	errNoAccess = errors.New("the look-up returned neither access nor error")
	errMinted   = errors.New("the JWT for the backend is malformed or has already ended")
)

// renew asks the store about a token, or makes a JWT where only that is worn. Requests
// with the same token share one answer. An answer that was begun before an eviction is
// not shared with requests that came after it.
func (g *Guard) renew(ctx context.Context, req Request, k key, token string) (*entry, error) {
	epoch := g.cache.epoch.Load()
	flight := string(k.token[:]) + "\x00" + k.resource + "\x00" + k.policy + "\x00" + strconv.FormatUint(epoch, 10)
	v, err, _ := g.flights.Do(flight, func() (any, error) {
		// One client that hangs up must not fail the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupDeadline)
		defer cancel()
		e, err := g.answer(ctx, req, g.cache.get(k), token)
		if err == nil {
			g.cache.put(k, e, epoch)
		}
		return e, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*entry), nil
}

// answer completes what old, which may be nil, still provides.
func (g *Guard) answer(ctx context.Context, req Request, old *entry, token string) (*entry, error) {
	now := g.config.Now()
	if old != nil && old.ready(now) {
		return old, nil
	}
	e := &entry{}
	if old != nil && old.fresh(now) {
		e.access, e.until = old.access, old.until
	} else {
		access, err := g.config.Grants.Access(ctx, token)
		if err != nil {
			return nil, err
		}
		if err := check(req, access, now); err != nil {
			return nil, err
		}
		e.access, e.until = access, earlier(now.Add(req.Policy.Lifetimes.GuardCache), access.Expires)
	}
	// One signature per access token: a JWT says the same as long as the access does.
	if old != nil && old.usable(now) && reflect.DeepEqual(old.access, e.access) {
		e.authorization, e.renew = old.authorization, old.renew
		return e, nil
	}
	return e, g.mint(ctx, req, e, now)
}

// check applies the policy of the request to what the token stands for.
func check(req Request, a *Access, now time.Time) error {
	if a == nil {
		return errNoAccess
	}
	if !now.Before(a.Expires) {
		return errExpired
	}
	// MCP authorization: "MCP servers MUST validate that access tokens were issued
	// specifically for them as the intended audience".
	if !req.Resource.Same(a.Resource) {
		return errResource
	}
	if !req.Policy.Allow.Permits(a.Person) {
		return errPolicy
	}
	if !req.Policy.Satisfied(req.Resource, a.Scopes) {
		return insufficient(a.Scopes)
	}
	return nil
}

// mint makes the backend's JWT, which is reused until two thirds of its life.
func (g *Guard) mint(ctx context.Context, req Request, e *entry, now time.Time) error {
	jwt, expires, err := g.config.Mint(ctx, e.access, req.Policy, req.Resource)
	if err != nil {
		return err
	}
	life := expires.Sub(now)
	if life <= 0 || !token68(jwt) {
		return errMinted
	}
	e.authorization, e.renew = "Bearer "+jwt, now.Add(life/3*2)
	return nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
