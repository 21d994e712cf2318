// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// verifier is grants.Service as the guard has accounts verified by it. A request goes by
// the policy and the provider of its own handler, what runs in the background by those of
// the current one.
type verifier struct {
	grants *grants.Service
	// terms are the current ones, nil while no configuration runs.
	terms func() *grants.Terms
}

// Verify implements guard.Verifier.
func (v verifier) Verify(ctx context.Context, t *guard.Target, a *guard.Access, token string) (*guard.Access, error) {
	known, ok := a.Source.(*grants.Access)
	if !ok || t.Provider == nil {
		return a, nil
	}
	now, err := v.grants.Verify(ctx, grants.Terms{Policy: t.Policy, Provider: t.Provider}, known, token)
	if err != nil {
		return nil, err
	}
	return accessOf(now), nil
}

// Key implements guard.Verifier.
func (v verifier) Key(token, holder string) (seal.Key, uint32, error) {
	return v.grants.Key(token, holder)
}

// Alive implements guard.Verifier.
func (v verifier) Alive(ctx context.Context, grant [16]byte, key seal.Key) error {
	terms := v.terms()
	if terms == nil {
		return v.grants.Alive(ctx, grant)
	}
	return v.grants.AliveWith(ctx, *terms, grant, key)
}

// terms are those of the configuration that started last.
func (s *site) terms() *grants.Terms {
	in := s.current.Load()
	if in == nil {
		return nil
	}
	return &grants.Terms{Policy: in.policy, Provider: in.signIn}
}

// hold keeps the site as it is for work that no request waits for.
func (s *site) hold() func() {
	if !s.uses.acquire() {
		return nil
	}
	return s.uses.done
}
