// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var (
	errModelDead  = errors.New("the node is dead")
	errModelStore = errors.New("the store failed")
)

// modelStore is the store as one life of one node sees it. Calls about grants stop before
// and after their effect, where the scheduler may let another request go first or the
// node die. A dead node has no effect any more.
type modelStore struct {
	store.Store
	w    *modelWorld
	node *modelNode
}

func (s *modelStore) Get(ctx context.Context, k store.Key) (store.Record, error) {
	call := callOf(ctx)
	if call == nil || k.Kind != grantKind.Name {
		return s.Store.Get(ctx, k)
	}
	call.gate()
	switch {
	case s.node.dead:
		return store.Record{}, errModelDead
	case call.fails():
		return store.Record{}, errModelStore
	}
	rec, err := s.Store.Get(ctx, k)
	s.w.check.read(call)
	return rec, err
}

func (s *modelStore) Update(ctx context.Context, r store.Record, prev store.Version) error {
	call := callOf(ctx)
	if call == nil || r.Kind != grantKind.Name {
		return s.Store.Update(ctx, r, prev)
	}
	call.gate()
	fails := call.fails()
	switch {
	case s.node.dead:
		return errModelDead
	case fails && !call.do.after:
		return errModelStore
	}
	err := s.Store.Update(ctx, r, prev)
	if err == nil {
		s.w.check.wrote(call)
	}
	call.gate()
	switch {
	case s.node.dead:
		return errModelDead
	case fails:
		return errModelStore
	}
	return err
}
