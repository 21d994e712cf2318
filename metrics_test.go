// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"net/http"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
)

// gathered are the values of the metrics of a configuration: of a counter by its label,
// of a histogram the number of observations.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				out[name] = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				out[name] = m.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				out[name] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return out
}

// The metrics survive a reload: each configuration has a registry of its own, and two
// handlers share one.
func TestMetrics(t *testing.T) {
	const requests = "caddy_mcp_oauth_guard_requests_total "
	first := newConfiguration(t)
	h := first.load(sited("metrics.example.com"))
	first.load(sited("metrics2.example.com"))
	first.start()
	if _, err := opened(t, h).vault.Keyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	admitGood(h)
	before := gathered(t, first.ctx.GetMetricsRegistry())
	for token, times := range map[string]int{"good": 3, "bad": 2, "": 1} {
		for range times {
			r := prepared(http.MethodPost, "https://metrics.example.com/mcp")
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			ask(t, h, r, new(backend))
		}
	}
	second, _ := running(t, sited("metrics.example.com"))
	first.stop()
	after := gathered(t, second.ctx.GetMetricsRegistry())
	for name, want := range map[string]float64{
		requests + "passed": 3, requests + "invalid_token": 2, requests + "no_token": 1, "caddy_mcp_oauth_guard_duration_seconds": 6,
	} {
		if got := after[name] - before[name]; got < want {
			t.Errorf("%s grew by %v, want %v", name, got, want)
		}
	}
	for _, r := range guard.Results() {
		if _, found := after[requests+r.String()]; !found {
			t.Errorf("no counter for %s", r)
		}
	}
	for _, gauge := range []string{"caddy_mcp_oauth_guard_cache_entries", "caddy_mcp_oauth_guard_streams"} {
		if _, found := after[gauge]; !found {
			t.Errorf("no %s", gauge)
		}
	}
	for _, use := range []string{useSigning, useRoot} {
		if age, found := after["caddy_mcp_oauth_key_age_seconds https://metrics.example.com/oauth "+use]; !found || age < 0 || age > 600 {
			t.Errorf("the %s key is %v seconds old (%t)", use, age, found)
		}
	}
	if after["caddy_mcp_oauth_guard_cache_entries"] < 1 {
		t.Error("the token that passed is not counted")
	}
}

// Every result of a check is counted once, by a label that no client chooses.
func TestAccountMetrics(t *testing.T) {
	const name = "caddy_mcp_oauth_account_checks_total "
	c := newConfiguration(t)
	c.load(sited("accounts.example.com"))
	before := gathered(t, c.ctx.GetMetricsRegistry())
	for _, mode := range append(slices.Clone(accountChecks.names), "same", "of a stranger's choice") {
		eventCounter{}.Emit(t.Context(), event.Event{Kind: event.AccountVerified, Mode: mode})
	}
	eventCounter{}.Emit(t.Context(), event.Event{Kind: event.Refreshed, Mode: "same"})
	after := gathered(t, c.ctx.GetMetricsRegistry())
	for _, result := range accountChecks.names {
		want := 1.0
		if result == "same" {
			want = 2
		}
		if got := after[name+result] - before[name+result]; got != want {
			t.Errorf("%s grew by %v, want %v", result, got, want)
		}
	}
	if _, there := after[name+"of a stranger's choice"]; there {
		t.Error("a label that is none of ours")
	}
}

// Every result of a refresh is counted once, by a label that no client chooses.
func TestRefreshMetrics(t *testing.T) {
	const name = "caddy_mcp_oauth_refresh_total "
	c := newConfiguration(t)
	c.load(sited("refreshes.example.com"))
	before := gathered(t, c.ctx.GetMetricsRegistry())
	for _, e := range []event.Event{
		{Kind: event.Refreshed, Mode: "rotated"},
		{Kind: event.Refreshed, Mode: "unchecked"},
		{Kind: event.Refreshed, Mode: "recent"},
		{Kind: event.Refreshed, Mode: "graced"},
		{Kind: event.Refreshed, Mode: "recovered"},
		{Kind: event.Refreshed, Mode: "outage"},
		{Kind: event.RefreshReuse},
		{Kind: event.RefreshFailed, Mode: "invalid"},
		{Kind: event.RefreshFailed, Mode: "unavailable"},
		{Kind: event.RefreshRefused, Mode: "ahead"},
		{Kind: event.Refreshed, Mode: "of a stranger's choice"},
	} {
		eventCounter{}.Emit(t.Context(), e)
	}
	after := gathered(t, c.ctx.GetMetricsRegistry())
	want := map[string]float64{"rotated": 3, "graced": 1, "recovered": 1, "outage": 1, "reuse": 1, "invalid": 1, "unavailable": 1}
	for result, n := range want {
		if got := after[name+result] - before[name+result]; got != n {
			t.Errorf("%s grew by %v, want %v", result, got, n)
		}
	}
	if _, there := after[name+"of a stranger's choice"]; there {
		t.Error("a label that is none of ours")
	}
}

// Sessions that were ended are counted by who or what ended them, and requests to revoke by
// what became of them.
func TestEndMetrics(t *testing.T) {
	const ended, revoked = "caddy_mcp_oauth_sessions_ended_total ", "caddy_mcp_oauth_revoke_total "
	c := newConfiguration(t)
	c.load(sited("endings.example.com"))
	before := gathered(t, c.ctx.GetMetricsRegistry())
	for _, e := range []event.Event{
		{Kind: event.GrantEnded, Mode: grants.ReasonByClient}, {Kind: event.GrantEnded, Mode: grants.ReasonAll},
		{Kind: event.GrantEnded, Mode: grants.ReasonReuse}, {Kind: event.GrantEnded, Mode: grants.ReasonPolicy},
		{Kind: event.GrantEnded, Mode: "whatever a provider says"},
		{Kind: event.TokenRevoked, Mode: "refresh_token"}, {Kind: event.TokenRevoked, Mode: "access_token"},
		{Kind: event.RevocationRefused, Mode: "other_client"}, {Kind: event.RevocationRefused, Mode: "request"},
	} {
		eventCounter{}.Emit(t.Context(), e)
	}
	after := gathered(t, c.ctx.GetMetricsRegistry())
	for _, name := range []string{
		ended + "client", ended + "command", ended + "reuse", ended + "policy", ended + "provider",
		revoked + "refresh_token", revoked + "access_token", revoked + "other_client",
	} {
		if got := after[name] - before[name]; got != 1 {
			t.Errorf("%s grew by %v, want 1", name, got)
		}
	}
}
