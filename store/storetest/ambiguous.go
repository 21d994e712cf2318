// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// A write whose outcome nobody knows is sent again with the same bytes. Whatever another
// writer does before, between and after, each sending has one right answer.
var ambiguousTests = []test{
	{"Ambiguous/create", func(b *bench) { b.testAmbiguous("create") }},
	{"Ambiguous/update", func(b *bench) { b.testAmbiguous("update") }},
	{"Ambiguous/delete", func(b *bench) { b.testAmbiguous("delete") }},
}

// others are what another writer may do between two sendings.
var others = []string{"nothing", "update", "delete", "replace"}

// lost are the fates of a sending whose outcome stays unknown: it did not arrive, or its
// answer did not.
var lost = map[string]faulty.Fault{"no effect": faulty.Before, "no answer": faulty.After}

// testAmbiguous goes through every order of two and of three sendings.
func (b *bench) testAmbiguous(op string) {
	var orders [][]string
	for _, first := range others {
		for fate := range lost {
			for _, second := range others {
				orders = append(orders, []string{first, fate, second})
				for again := range lost {
					for _, third := range others {
						orders = append(orders, []string{first, fate, second, again, third})
					}
				}
			}
		}
	}
	const workers = 8
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := w; n < len(orders); n += workers {
				s := &sending{bench: b, op: op, wire: faulty.New(b.store)}
				if err := s.run(n, orders[n]); err != nil {
					b.Errorf("%s: %v", strings.Join(orders[n], ", "), err)
				}
			}
		})
	}
	wg.Wait()
}

// sending is one write that is sent several times, and a model of what the store has.
type sending struct {
	*bench
	op   string
	wire *faulty.Store // what stands between the writer and the store

	before store.Record // what was there at first
	ours   store.Record // what create and update write
	there  *store.Record
}

// run takes the steps of an order, sends the write a last time without a fault, and
// compares every answer and the end with the model.
func (s *sending) run(n int, order []string) error {
	s.before = s.record(n)
	s.before.Person = index("p")
	s.ours = next(s.before, "ours")
	if s.op != "create" {
		if err := s.store.Create(s.ctx, s.before); err != nil {
			return err
		}
		s.there = &s.before
	}
	for _, step := range order {
		if fate, sent := lost[step]; sent {
			s.wire.Set(faulty.None, fate)
			_ = s.send()
			if fate == faulty.After {
				_ = s.model()
			}
			continue
		}
		if err := s.other(step); err != nil {
			return fmt.Errorf("the other writer: %w", err)
		}
	}
	// By way of the model first: it says what the answer has to be.
	want := s.model()
	if got := s.send(); !errors.Is(got, want) {
		return fmt.Errorf("the last answer is %w, want: %w", got, want)
	}
	return s.compare()
}

func (s *sending) send() error {
	switch s.op {
	case "create":
		return s.wire.Create(s.ctx, s.ours)
	case "update":
		return s.wire.Update(s.ctx, s.ours, s.before.Version)
	default:
		return s.wire.Delete(s.ctx, s.before.Key, s.before.Version)
	}
}

// model applies a sending to the model and returns the answer of the contract.
func (s *sending) model() error {
	present := s.there != nil
	switch {
	case s.op == "create" && !present:
		s.there = &s.ours
	case s.op == "create" && s.there.Version != s.ours.Version:
		return store.ErrExists
	case s.op == "update" && !present:
		return store.ErrNotFound
	case s.op == "update" && s.there.Version == s.before.Version:
		s.there = &s.ours
	case s.op == "update" && s.there.Version != s.ours.Version:
		return store.ErrConflict
	case s.op == "delete" && present && s.there.Version != s.before.Version:
		return store.ErrConflict
	case s.op == "delete":
		s.there = nil
	}
	return nil
}

// other does what another writer does, through the second handle.
func (s *sending) other(step string) error {
	theirs := next(s.before, "theirs")
	switch step {
	case "update":
		if s.there == nil {
			return nil
		}
		prev := s.there.Version
		s.there = &theirs
		return s.second.Update(s.ctx, theirs, prev)
	case "delete":
		s.there = nil
		return s.second.Delete(s.ctx, s.before.Key, store.Version{})
	case "replace":
		if err := s.second.Delete(s.ctx, s.before.Key, store.Version{}); err != nil {
			return err
		}
		s.there = &theirs
		return s.second.Create(s.ctx, theirs)
	}
	return nil
}

// compare checks that both handles show what the model has.
func (s *sending) compare() error {
	for _, node := range []store.Store{s.store, s.second} {
		if s.there != nil {
			if err := s.sees(node, *s.there); err != nil {
				return fmt.Errorf("at the end: %w", err)
			}
			continue
		}
		if _, err := node.Get(s.ctx, s.before.Key); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("at the end: %w, want: %w", err, store.ErrNotFound)
		}
	}
	return nil
}
