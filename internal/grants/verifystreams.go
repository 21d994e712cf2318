// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

// AliveWith is Alive for a grant that has streams open, which keep its data key. Where the
// provider is asked by use (verify_account every), an open stream is a use: the provider is
// asked as soon as the last yes is older than the interval, and whoever calls next learns
// what came of it. The zero key asks nobody. A definite no says that the grant has ended,
// or that its streams outlive what can be checked.
func (s *Service) AliveWith(ctx context.Context, terms Terms, id tokens.ID, dek seal.Key) error {
	g, err := s.living(ctx, id)
	if err != nil || terms.Policy.Verify.Every == 0 || g.Provider == nil {
		return err
	}
	d := paceOf(terms.Policy).due(g.history(), s.Now())
	if d.ask {
		if !s.opens(g, id, dek) {
			_, err := new(Access).unchecked(d)
			return err
		}
		s.check(ctx, terms, id, dek)
	}
	if !d.pass && !d.patient {
		return errUnverified
	}
	return nil
}

func (s *Service) opens(g *grantRecord, id tokens.ID, dek seal.Key) bool {
	if dek.IsZero() {
		return false
	}
	_, err := s.openProvider(g, id, dek)
	return err == nil
}
