// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"fmt"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
)

// lifetime is one word of the tokens block.
type lifetime struct {
	word        string
	least, most time.Duration
	// bounds says least and most in words, with the reason.
	bounds string
	field  func(*Tokens) *Duration
	target func(*policy.Lifetimes) *time.Duration
}

const day = 24 * time.Hour

// lifetimes are the words of the tokens block in the order of the documentation.
var lifetimes = []lifetime{
	{
		"access", time.Second, day, "1s to 24h",
		func(t *Tokens) *Duration { return &t.Access }, func(l *policy.Lifetimes) *time.Duration { return &l.Access },
	},
	{
		"refresh", time.Second, 365 * day, "1s to 365d, since no sign-in may be endless",
		func(t *Tokens) *Duration { return &t.Refresh }, func(l *policy.Lifetimes) *time.Duration { return &l.Refresh },
	},
	{
		"refresh_idle", time.Second, 365 * day, "1s to the value of refresh",
		func(t *Tokens) *Duration { return &t.RefreshIdle }, func(l *policy.Lifetimes) *time.Duration { return &l.RefreshIdle },
	},
	{
		"refresh_grace", 0, 5 * time.Minute, "0 to 5m, since within it a stolen token looks like a retry",
		func(t *Tokens) *Duration { return &t.RefreshGrace }, func(l *policy.Lifetimes) *time.Duration { return &l.RefreshGrace },
	},
	{
		"code", time.Second, 10 * time.Minute, "1s to 10m (RFC 6749 §4.1.2)",
		func(t *Tokens) *Duration { return &t.Code }, func(l *policy.Lifetimes) *time.Duration { return &l.Code },
	},
	{
		"backend_jwt", time.Second, 10 * time.Minute, "1s to 10m, since a JWT cannot be revoked",
		func(t *Tokens) *Duration { return &t.BackendJWT }, func(l *policy.Lifetimes) *time.Duration { return &l.BackendJWT },
	},
	{
		"guard_cache", 0, 5 * time.Minute, "0 to 5m, since a revocation on another node is seen that much later",
		func(t *Tokens) *Duration { return &t.GuardCache }, func(l *policy.Lifetimes) *time.Duration { return &l.GuardCache },
	},
	{
		"provider_outage", 0, 7 * day, "0 to 7d, since nobody asks meanwhile whether the person may still sign in",
		func(t *Tokens) *Duration { return &t.ProviderOutage }, func(l *policy.Lifetimes) *time.Duration { return &l.ProviderOutage },
	},
}

// check checks the text of one lifetime.
func (l lifetime) check(v string) error {
	d, err := surface.ParseDuration(v)
	if err != nil {
		return err
	}
	if d < l.least || d > l.most {
		return fmt.Errorf("%s is out of bounds: write %s", v, l.bounds)
	}
	return nil
}

// checkLifetimes checks the lifetimes against each other. An access token that would
// outlive its sign-in ends with it, so only what cannot be meant is an error.
func checkLifetimes(l policy.Lifetimes) error {
	if l.RefreshIdle > l.Refresh {
		return fmt.Errorf("tokens: refresh_idle is %s and refresh %s: a sign-in that may last %[2]s cannot be idle for longer; "+
			"write refresh_idle of at most that, or a longer refresh", brief(l.RefreshIdle), brief(l.Refresh))
	}
	return nil
}

// brief prints whole seconds as people write them: 90d, 1h, 1m30s.
func brief(d time.Duration) string {
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
