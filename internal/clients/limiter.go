// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/limit"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// Defaults of Rules.Rate and Rules.Window.
const (
	DefaultRate   = 20
	DefaultWindow = time.Minute
)

// What a node takes in all; a store cannot count.
const (
	globalNew    = 10_000 // new registrations, refilled over globalPeriod
	globalPeriod = day
)

// limiter bounds new registrations, per address and in all.
type limiter struct {
	addresses *limit.Addresses
	global    *limit.Budget
}

func newLimiter(now clock.Func) *limiter {
	return &limiter{addresses: limit.New(now), global: limit.NewBudget(now, globalNew, globalPeriod)}
}

// take spends one new registration of addr. The error is an *oauth.Error: 429
// temporarily_unavailable, the one code at which clients keep what they have.
func (l *limiter) take(addr netip.Addr, rules Rules) error {
	events, window := rules.Rate, rules.Window
	if events <= 0 {
		events = DefaultRate
	}
	if window <= 0 {
		window = DefaultWindow
	}
	wait, ok := l.addresses.Take(addr, events, window)
	if ok {
		wait, ok = l.global.Take()
	}
	if ok {
		return nil
	}
	return oauth.New(oauth.TemporarilyUnavailable, "Too many registrations. Try again later.").
		WithStatus(http.StatusTooManyRequests).WithRetryAfter(wait)
}
