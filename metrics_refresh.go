// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
)

// refreshResults are what can become of a refresh: the modes of its events.
var refreshResults = [...]string{"rotated", "graced", "recovered", "outage", "reuse", "invalid", "unavailable"}

// refreshCounts count the results of all sites of the process; they outlive configurations.
var refreshCounts [len(refreshResults)]atomic.Int64

// refreshCounter counts refreshes.
type refreshCounter struct{}

// Emit implements event.Sink.
func (refreshCounter) Emit(_ context.Context, e event.Event) {
	var result string
	switch e.Kind {
	case event.Refreshed:
		if result = e.Mode; result == "unchecked" || result == "recent" {
			result = "rotated" // there was nothing to ask the provider with, or no need to
		}
	case event.RefreshFailed:
		result = e.Mode
	case event.RefreshReuse:
		result = "reuse"
	default:
		return
	}
	if i := slices.Index(refreshResults[:], result); i >= 0 {
		refreshCounts[i].Add(1)
	}
}

// Interface guard
var _ event.Sink = refreshCounter{}
