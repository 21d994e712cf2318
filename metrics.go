// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
)

// guardStats count what all guards of the process do. They outlive configurations, so no
// reload sets a counter back.
var guardStats guard.Stats

// The metrics. None of them has a label that a client could choose.
var (
	guardRequests = prometheus.NewDesc("caddy_mcp_oauth_guard_requests_total",
		"Requests to guarded resources by what became of them.", []string{"result"}, nil)
	guardDuration = prometheus.NewDesc("caddy_mcp_oauth_guard_duration_seconds",
		"Time that the guard itself took for a request, without the server behind it.", nil, nil)
	guardEntries = prometheus.NewDesc("caddy_mcp_oauth_guard_cache_entries",
		"Tokens about which this node need not ask the store.", nil, nil)
	accountChecks = prometheus.NewDesc("caddy_mcp_oauth_account_checks_total",
		"Questions to the provider about accounts in use, by what became of them.", []string{"result"}, nil)
	refreshes = prometheus.NewDesc("caddy_mcp_oauth_refresh_total",
		"Requests with a refresh token by what became of them.", []string{"result"}, nil)
	guardStreams = prometheus.NewDesc("caddy_mcp_oauth_guard_streams",
		"Answers that are open now: event streams and upgraded connections.", nil, nil)
	endings = prometheus.NewDesc("caddy_mcp_oauth_sessions_ended_total",
		"Sessions that ended before their time, by who or what ended them.", []string{"by"}, nil)
	revocations = prometheus.NewDesc("caddy_mcp_oauth_revoke_total",
		"Requests to revoke a token of a session that is known, by what became of them.", []string{"result"}, nil)
	keyAge = prometheus.NewDesc("caddy_mcp_oauth_key_age_seconds",
		"How long ago the keys were made that are in use: the signing key of the JWTs, and the root.", []string{"issuer", "key"}, nil)
)

// collector reads the counters when somebody asks for them.
type collector struct{}

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{guardRequests, guardDuration, guardEntries, guardStreams, refreshes, accountChecks, endings, revocations, keyAge} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (collector) Collect(ch chan<- prometheus.Metric) {
	for _, r := range guard.Results() {
		ch <- prometheus.MustNewConstMetric(guardRequests, prometheus.CounterValue, float64(guardStats.Count(r)), r.String())
	}
	count, sum, buckets := guardStats.Histogram()
	for i, r := range refreshResults {
		ch <- prometheus.MustNewConstMetric(refreshes, prometheus.CounterValue, float64(refreshCounts[i].Load()), r)
	}
	for i, r := range accountResults {
		ch <- prometheus.MustNewConstMetric(accountChecks, prometheus.CounterValue, float64(accountCounts[i].Load()), r)
	}
	for i, by := range endTriggers {
		ch <- prometheus.MustNewConstMetric(endings, prometheus.CounterValue, float64(endCounts[i].Load()), by)
	}
	for i, r := range revokeResults {
		ch <- prometheus.MustNewConstMetric(revocations, prometheus.CounterValue, float64(revokeCounts[i].Load()), r)
	}
	ch <- prometheus.MustNewConstHistogram(guardDuration, count, sum, buckets)
	entries, streams := 0, 0
	sitePool.Range(func(_, value any) bool {
		if sv := value.(*site).services.Load(); sv != nil {
			entries += sv.guard.Len()
			streams += sv.guard.Streams().Total()
		}
		return true
	})
	ch <- prometheus.MustNewConstMetric(guardEntries, prometheus.GaugeValue, float64(entries))
	ch <- prometheus.MustNewConstMetric(guardStreams, prometheus.GaugeValue, float64(streams))
	for k, age := range keyAges() {
		ch <- prometheus.MustNewConstMetric(keyAge, prometheus.GaugeValue, age, k.issuer, k.use)
	}
}

// registerMetrics adds the metrics to the registry of a configuration, which all handlers
// of that configuration share.
func registerMetrics(ctx caddy.Context) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	var already prometheus.AlreadyRegisteredError
	if err := registry.Register(collector{}); err != nil && !errors.As(err, &already) {
		return err
	}
	return nil
}

// Interface guard
var _ prometheus.Collector = collector{}
