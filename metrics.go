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
	guardStreams = prometheus.NewDesc("caddy_mcp_oauth_guard_streams",
		"Answers that are open now: event streams and upgraded connections.", nil, nil)
	keyAge = prometheus.NewDesc("caddy_mcp_oauth_key_age_seconds",
		"How long ago the keys were made that are in use: the signing key of the JWTs, and the root.", []string{"issuer", "key"}, nil)
)

// collector reads the counters when somebody asks for them.
type collector struct{}

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{guardRequests, guardDuration, guardEntries, guardStreams, keyAge} {
		ch <- d
	}
	for _, t := range tallies {
		ch <- t.desc
	}
}

// Collect implements prometheus.Collector.
func (collector) Collect(ch chan<- prometheus.Metric) {
	for _, r := range guard.Results() {
		ch <- prometheus.MustNewConstMetric(guardRequests, prometheus.CounterValue, float64(guardStats.Count(r)), r.String())
	}
	count, sum, buckets := guardStats.Histogram()
	for _, t := range tallies {
		t.collect(ch)
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
