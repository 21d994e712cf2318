// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// racers is how many goroutines compete for one record.
const racers = 64

var raceTests = []test{
	{"Race/Create has one winner", func(b *bench) {
		writes := b.rivals(b.record(1))
		errs := race(func(i int) error { return b.node(i).Create(b.ctx, writes[i]) })
		b.wantStored(writes[b.winner(errs, store.ErrExists)])
	}},
	{"Race/Create over the dead has one winner", func(b *bench) {
		r := b.created(1)
		b.clock.Advance(r.Expires.Sub(b.clock.Now()))
		writes := b.rivals(b.record(1))
		errs := race(func(i int) error { return b.node(i).Create(b.ctx, writes[i]) })
		b.wantStored(writes[b.winner(errs, store.ErrExists)])
	}},
	{"Race/Update has one winner", func(b *bench) {
		r := b.created(1)
		writes := b.rivals(r)
		errs := race(func(i int) error { return b.node(i).Update(b.ctx, writes[i], r.Version) })
		b.wantStored(writes[b.winner(errs, store.ErrConflict)])
	}},
	{"Race/Delete or one Update wins", testDeleteRace},
	{"Race/the same write is one write", func(b *bench) {
		r := b.record(1)
		u := next(r, "updated")
		b.allNil(race(func(i int) error { return b.node(i).Create(b.ctx, r) }))
		b.allNil(race(func(i int) error { return b.node(i).Update(b.ctx, u, r.Version) }))
		b.wantStored(u)
	}},
	{"Race/no update is lost", testCounter},
	{"Race/an acknowledged write is seen", func(b *bench) {
		b.allNil(race(func(i int) error {
			r := b.record(i)
			if err := b.node(i).Create(b.ctx, r); err != nil {
				return err
			}
			return b.sees(b.node(i+1), r)
		}))
	}},
}

// race runs fn in many goroutines at once and returns their errors.
func race(fn func(i int) error) []error {
	errs := make([]error, racers)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			<-gate
			errs[i] = fn(i)
		})
	}
	close(gate)
	wg.Wait()
	return errs
}

// rivals returns different writes of one record.
func (b *bench) rivals(r store.Record) []store.Record {
	all := make([]store.Record, racers)
	for i := range all {
		all[i] = next(r, fmt.Sprintf("rival %d", i))
	}
	return all
}

// winner returns which call succeeded; all others must have got the given answer.
func (b *bench) winner(errs []error, loser error) int {
	b.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			b.Fatalf("calls %d and %d both won", winner, i)
		case err == nil:
			winner = i
		default:
			b.wantErr(err, loser)
		}
	}
	if winner < 0 {
		b.Fatal("nobody won")
	}
	return winner
}

func (b *bench) allNil(errs []error) {
	b.Helper()
	for _, err := range errs {
		b.wantErr(err, nil)
	}
}

// testDeleteRace lets Delete and Update compete for one version. Where an Update wins,
// all else is a conflict; where a Delete wins, every Delete is satisfied.
func testDeleteRace(b *bench) {
	for round := range 8 {
		r := b.created(round)
		writes := b.rivals(r)
		errs := race(func(i int) error {
			if i%2 == 0 {
				return b.node(i/2).Delete(b.ctx, r.Key, r.Version)
			}
			return b.node(i/2).Update(b.ctx, writes[i], r.Version)
		})
		var deletes, updates []error
		for i, err := range errs {
			if i%2 == 0 {
				deletes = append(deletes, err)
			} else {
				updates = append(updates, err)
			}
		}
		if deletes[0] == nil {
			b.allNil(deletes)
			b.allAre(updates, store.ErrNotFound)
			b.wantAbsent(r.Key)
			continue
		}
		b.allAre(deletes, store.ErrConflict)
		b.wantStored(writes[2*b.winner(updates, store.ErrConflict)+1])
	}
}

func (b *bench) allAre(errs []error, want error) {
	b.Helper()
	for _, err := range errs {
		b.wantErr(err, want)
	}
}

// testCounter adds one per success; the sum must be the number of successes.
func testCounter(b *bench) {
	r := b.record(1)
	r.Value = []byte{0}
	b.create(r)
	b.allNil(race(func(i int) error {
		for {
			seen, err := b.node(i).Get(b.ctx, r.Key)
			if err != nil {
				return err
			}
			u := next(seen, string([]byte{seen.Value[0] + 1}))
			err = b.node(i).Update(b.ctx, u, seen.Version)
			if !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
	}))
	got, err := b.store.Get(b.ctx, r.Key)
	b.wantErr(err, nil)
	if got.Value[0] != racers {
		b.Fatalf("%d updates were acknowledged, %d are there", racers, got.Value[0])
	}
}

// sees checks a record from another goroutine than the test's.
func (b *bench) sees(s store.Store, r store.Record) error {
	got, err := s.Get(b.ctx, r.Key)
	if err != nil {
		return err
	}
	if diff := difference(got, r); diff != "" {
		return errors.New(diff)
	}
	return nil
}
