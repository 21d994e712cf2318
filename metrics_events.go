// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
)

// tally counts by name on all sites of the process. It outlives configurations.
type tally struct {
	desc   *prometheus.Desc
	names  []string
	counts []atomic.Int64
}

func newTally(metric, help, label string, names ...string) *tally {
	return &tally{desc: prometheus.NewDesc(metric, help, []string{label}, nil), names: names, counts: make([]atomic.Int64, len(names))}
}

// add counts one of a name. Others are not counted: labels are a closed set.
func (t *tally) add(name string) {
	if i := slices.Index(t.names, name); i >= 0 {
		t.counts[i].Add(1)
	}
}

func (t *tally) collect(ch chan<- prometheus.Metric) {
	for i, name := range t.names {
		ch <- prometheus.MustNewConstMetric(t.desc, prometheus.CounterValue, float64(t.counts[i].Load()), name)
	}
}

// What is counted of events; most names are the modes of one.
var (
	refreshes = newTally("caddy_mcp_oauth_refresh_total", "Requests with a refresh token by what became of them.", "result",
		"rotated", "graced", "recovered", "outage", "reuse", "invalid", "unavailable")
	accountChecks = newTally("caddy_mcp_oauth_account_checks_total", "Questions to the provider about accounts in use, by what became of them.", "result",
		"same", "changed", "ended", "outage", "vain")
	endings = newTally("caddy_mcp_oauth_sessions_ended_total", "Sessions that ended before their time, by who or what ended them.", "by",
		grants.Triggers()...)
	revocations = newTally("caddy_mcp_oauth_revoke_total", "Requests to revoke a token of a session that is known, by what became of them.", "result",
		string(grants.RevokedGrant), string(grants.RevokedAccess), string(grants.RevokedOther))

	tallies = []*tally{refreshes, accountChecks, endings, revocations}
)

// eventCounter counts events.
type eventCounter struct{}

// Emit implements event.Sink.
func (eventCounter) Emit(_ context.Context, e event.Event) {
	switch e.Kind {
	case event.Refreshed:
		if e.Mode == "unchecked" || e.Mode == "recent" {
			e.Mode = "rotated" // there was nothing to ask the provider with, or no need to
		}
		refreshes.add(e.Mode)
	case event.RefreshFailed:
		refreshes.add(e.Mode)
	case event.RefreshReuse:
		refreshes.add("reuse")
	case event.AccountVerified:
		accountChecks.add(e.Mode)
	case event.GrantEnded:
		endings.add(grants.Trigger(e.Mode))
	case event.TokenRevoked, event.RevocationRefused:
		revocations.add(e.Mode)
	default:
	}
}

// Interface guard
var _ event.Sink = eventCounter{}
