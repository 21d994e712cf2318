// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// Budget is one token bucket for everybody together. It is safe for concurrent use.
type Budget struct {
	now clock.Func
	all *rate.Limiter
}

// NewBudget returns a full budget of events that refills over window.
func NewBudget(now clock.Func, events int, window time.Duration) *Budget {
	return &Budget{now: now, all: rate.NewLimiter(perSecond(events, window), events)}
}

// Take spends one event. When there is none left it returns false and how long to wait.
func (b *Budget) Take() (wait time.Duration, ok bool) {
	now := b.now()
	if b.all.AllowN(now, 1) {
		return 0, true
	}
	return untilOne(b.all, now), false
}

func perSecond(events int, window time.Duration) rate.Limit {
	return rate.Limit(float64(events) / window.Seconds())
}

// untilOne is how long until there is an event again, at least a second.
func untilOne(l *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - l.TokensAt(now)
	return max(time.Duration(missing/float64(l.Limit())*float64(time.Second)), time.Second)
}
