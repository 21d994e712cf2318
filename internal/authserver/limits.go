// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/netip"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/limit"
)

// What one address may do per minute. A company of thousands may be one address and come
// back all at once, after an outage or on a Monday morning, so the numbers are far above
// what people do.
const (
	// loginsPerMinute leaves four fifths of maxPending to others.
	loginsPerMinute = 1000
	// tokenFailuresPerMinute is what a flood of inventions may cost; requests with a
	// genuine code or token pass all the same.
	tokenFailuresPerMinute = 300
)

// maxPending is how many logins may wait for the provider on this node.
const maxPending = 50_000

// Limits are the budgets of one node. They are memory, not state: a store cannot count.
// GET requests have none, because they cost no memory and a limit by address would lock
// out colleagues.
type Limits struct {
	logins, failures, asking *limit.Addresses
	pending                  *limit.Budget
}

// NewLimits returns full budgets.
func NewLimits(now clock.Func) *Limits {
	return &Limits{
		logins: limit.New(now), failures: limit.New(now), asking: limit.New(now),
		pending: limit.NewBudget(now, maxPending, cookieLife),
	}
}

// Login spends one login of addr, and one of those that may be pending on this node.
func (l *Limits) Login(addr netip.Addr) (wait time.Duration, ok bool) {
	if wait, ok = l.logins.Take(addr, loginsPerMinute, time.Minute); !ok {
		return wait, false
	}
	return l.pending.Take()
}

// TokenBlocked tells whether addr has failed too often at the token endpoint. Only
// failures count: nobody is kept from refreshing by refreshing.
func (l *Limits) TokenBlocked(addr netip.Addr) (wait time.Duration, ok bool) {
	wait, blocked := l.failures.Empty(addr, tokenFailuresPerMinute, time.Minute)
	return wait, !blocked
}

// TokenFailed counts one failure of addr.
func (l *Limits) TokenFailed(addr netip.Addr) {
	l.failures.Take(addr, tokenFailuresPerMinute, time.Minute)
}

// AskingBlocked is TokenBlocked for the introspection endpoint. What fails elsewhere does
// not count there: servers may share their address with clients, and one client that goes
// on with a dead token must not keep all of them from asking about others.
func (l *Limits) AskingBlocked(addr netip.Addr) (wait time.Duration, ok bool) {
	wait, blocked := l.asking.Empty(addr, tokenFailuresPerMinute, time.Minute)
	return wait, !blocked
}

// AskingFailed counts one failure of addr at the introspection endpoint.
func (l *Limits) AskingFailed(addr netip.Addr) {
	l.asking.Take(addr, tokenFailuresPerMinute, time.Minute)
}
