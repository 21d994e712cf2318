// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
)

// endTriggers are who or what ends sessions, and endCounts how many each has ended on all
// sites of the process; they outlive configurations.
var (
	endTriggers = grants.Triggers()
	endCounts   = make([]atomic.Int64, len(endTriggers))
)

// revokeResults are what can become of a request to revoke a token that is known here, and
// revokeCounts how often that was.
var (
	revokeResults = []string{string(grants.RevokedGrant), string(grants.RevokedAccess), string(grants.RevokedOther)}
	revokeCounts  = make([]atomic.Int64, len(revokeResults))
)

// endCounter counts sessions and tokens that were ended.
type endCounter struct{}

// Emit implements event.Sink.
func (endCounter) Emit(_ context.Context, e event.Event) {
	switch e.Kind {
	case event.GrantEnded:
		endCounts[slices.Index(endTriggers, grants.Trigger(e.Mode))].Add(1)
	case event.TokenRevoked, event.RevocationRefused:
		if i := slices.Index(revokeResults, e.Mode); i >= 0 {
			revokeCounts[i].Add(1)
		}
	default:
	}
}

// Interface guard
var _ event.Sink = endCounter{}
