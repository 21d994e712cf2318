// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Callers leave at any moment. That says nothing about a record, and must not mix up the
// answers of those who stay.
var cancelTests = []test{
	{"Cancel/an answer is the one to the question", testNoMixUp},
	{"Cancel/a write is done or not done", testCanceledWrite},
	{"Cancel/a deadline in the past", func(b *bench) {
		r := b.created(1)
		ctx, cancel := context.WithDeadline(b.ctx, time.Unix(1, 0))
		defer cancel()
		for what, err := range b.each(ctx, r) {
			if err != nil {
				b.wantUnknown(what, err)
			}
		}
		b.wantStored(r)
	}},
}

// leaving returns a context that ends at a random moment soon, or has ended already. The
// moments are from microseconds to a few milliseconds, where calls are under way.
func (b *bench) leaving(random *rand.Rand) (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, time.Duration(random.IntN(1<<(10+random.IntN(12)))))
}

// testNoMixUp reads many records through connections whose users keep leaving: a reply
// that is left over must not become the answer of the next one (CVE-2025-29923).
func testNoMixUp(b *bench) {
	all := b.fill(racers)
	b.allNil(race(func(i int) error {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		for range 50 {
			ctx, cancel := b.leaving(random)
			got, err := b.node(i).Get(ctx, all[i].Key)
			cancel()
			switch {
			case definite(err):
				return fmt.Errorf("a canceled Get: %w", err)
			case err == nil && difference(got, all[i]) != "":
				return fmt.Errorf("a canceled Get: %s", difference(got, all[i]))
			}
			if err := b.sees(b.node(i), all[i]); err != nil {
				return err
			}
		}
		return nil
	}))
}

// testCanceledWrite cancels updates and sends them again: the answer is then known, and
// the store has what it says.
func testCanceledWrite(b *bench) {
	b.allNil(race(func(i int) error {
		random := rand.New(rand.NewPCG(2, uint64(i)))
		r := b.record(i)
		if err := b.store.Create(b.ctx, r); err != nil {
			return err
		}
		for n := range 10 {
			u := next(r, fmt.Sprintf("write %d of %d", n, i))
			ctx, cancel := b.leaving(random)
			err := b.node(n).Update(ctx, u, r.Version)
			cancel()
			if definite(err) {
				return fmt.Errorf("a canceled Update: %w", err)
			}
			if err := b.node(n+1).Update(b.ctx, u, r.Version); err != nil {
				return fmt.Errorf("the same Update again: %w", err)
			}
			if err := b.sees(b.node(n), u); err != nil {
				return err
			}
			r = u
		}
		return nil
	}))
}

// nodeTests need two handles.
var nodeTests = []test{
	{"Nodes/each sees what the other wrote", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.sees(b.second, r), nil)
		u := next(r, "other")
		b.wantErr(b.second.Update(b.ctx, u, r.Version), nil)
		b.wantStored(u)
		b.wantErr(b.store.Update(b.ctx, next(r, "late"), r.Version), store.ErrConflict)
		b.wantErr(b.second.Delete(b.ctx, r.Key, u.Version), nil)
		b.wantAbsent(r.Key)
	}},
	{"Nodes/closing one leaves the other", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.second.Close(), nil)
		b.wantStored(r)
		u := next(r, "other")
		b.wantErr(b.store.Update(b.ctx, u, r.Version), nil)
		b.wantStored(u)
	}},
}
