// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// How the provider answers one refresh.
const (
	providerYes  = ""
	providerDown = "down" // no answer, and nothing happened
	providerLost = "lost" // the answer was yes and did not arrive
	providerNo   = "no"   // the person is disabled
)

var errModelProvider = errors.New("the provider cannot be reached")

// modelProvider vouches for a person per sign-in. A strict one takes only the refresh
// token that it handed out last.
type modelProvider struct {
	provider.Provider
	strict bool
	newest map[string]int
}

func (p *modelProvider) token(subject string) secret.String {
	return secret.New(fmt.Sprintf("%s %d", subject, p.newest[subject]))
}

func (p *modelProvider) Refresh(ctx context.Context, token secret.String) (*provider.Session, error) {
	call := callOf(ctx)
	call.gate()
	if call.node.dead {
		return nil, errModelDead
	}
	var subject string
	var n int
	if _, err := fmt.Sscanf(token.Reveal(), "%s %d", &subject, &n); err != nil {
		return nil, err
	}
	switch {
	case call.do.provider == providerDown:
		call.unasked = true
		return nil, errModelProvider
	case call.do.provider == providerNo, p.strict && n != p.newest[subject]:
		call.denied = true
		return nil, &provider.Ended{Reason: "invalid_grant", Cause: errors.New("model")}
	}
	p.newest[subject]++
	next := p.token(subject)
	call.asked = true
	if call.do.provider == providerLost {
		call.unasked = true
		return nil, errModelProvider
	}
	call.gate()
	if call.node.dead {
		return nil, errModelDead
	}
	if err := ctx.Err(); err != nil {
		call.unasked = true
		return nil, err
	}
	return &provider.Session{Person: provider.Person{Subject: subject}, RefreshToken: next}, nil
}
