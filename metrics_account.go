// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
)

// accountResults are what can become of the check of an account in use: the modes of its
// events.
var accountResults = [...]string{"same", "changed", "ended", "outage", "vain"}

// accountCounts count the results of all sites of the process; they outlive configurations.
var accountCounts [len(accountResults)]atomic.Int64

// accountCounter counts checks of accounts in use.
type accountCounter struct{}

// Emit implements event.Sink.
func (accountCounter) Emit(_ context.Context, e event.Event) {
	if e.Kind != event.AccountVerified {
		return
	}
	if i := slices.Index(accountResults[:], e.Mode); i >= 0 {
		accountCounts[i].Add(1)
	}
}

// Interface guard
var _ event.Sink = accountCounter{}
