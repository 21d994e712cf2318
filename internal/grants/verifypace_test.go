// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

func TestPace(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	now := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	p := pace{every: 30 * minute, bridge: 5 * time.Hour}
	for name, tt := range map[string]struct {
		yes, asked, leased time.Duration // before now; leased after
		want               due
		until              time.Duration // after now
	}{
		"young":                          {29 * minute, 29 * minute, 0, due{pass: true, patient: true}, minute},
		"of the future":                  {-minute, -minute, 0, due{pass: true, patient: true}, 31 * minute},
		"of tomorrow":                    {-24 * time.Hour, -24 * time.Hour, 0, due{ask: true}, leaseLife},
		"asked in vain tomorrow":         {-40 * minute, -24 * time.Hour, 0, due{ask: true, pass: true, patient: true}, 100 * minute},
		"due":                            {30 * minute, 30 * minute, 0, due{ask: true, pass: true, patient: true}, 30 * minute},
		"due, asked by another":          {30 * minute, 0, 10 * time.Second, due{ask: true, pass: true, patient: true, busy: true}, 10 * time.Second},
		"asked in vain":                  {40 * minute, 10 * minute, 0, due{pass: true, patient: true}, 5 * minute},
		"asked in vain, again":           {45 * minute, 15 * minute, 0, due{ask: true, pass: true, patient: true}, 15 * minute},
		"old":                            {60 * minute, 60 * minute, 0, due{ask: true, pass: true}, leaseLife},
		"old, asked by another":          {60 * minute, 0, 10 * time.Second, due{ask: true, pass: true, busy: true}, 10 * time.Second},
		"old, asked in vain":             {61 * minute, minute, 0, due{pass: true, patient: true}, 14 * minute},
		"old, the lease was lost":        {61 * minute, minute, -1, due{pass: true, patient: true}, 14 * minute},
		"at the end of the bridge":       {299 * minute, minute, 0, due{pass: true, patient: true}, minute},
		"beyond the bridge":              {300 * minute, 10 * minute, 0, due{ask: true}, leaseLife},
		"beyond the bridge, just asked":  {300 * minute, minute / 2, 0, due{}, minute / 2},
		"beyond the bridge, being asked": {300 * minute, minute, 10 * time.Second, due{ask: true, busy: true}, 10 * time.Second},
		"never asked, beyond the bridge": {3000 * minute, 3000 * minute, 0, due{ask: true}, leaseLife},
	} {
		h := history{yes: now.Add(-tt.yes), asked: now.Add(-tt.asked), leased: now.Add(tt.leased)}
		tt.want.until = now.Add(tt.until)
		if got := p.due(h, now); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
	if p.recent(history{yes: now.Add(-30 * minute)}, now) || !p.recent(history{yes: now.Add(-29 * minute)}, now) {
		t.Error("the interval does not say what is recent")
	}
	if (pace{}).recent(history{yes: now.Add(minute)}, now) {
		t.Error("without an interval nothing is recent")
	}
}

// The bridge begins where a yes is as old as it regularly becomes.
func TestBridge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ access, every, want time.Duration }{
		{time.Hour, 0, 5 * time.Hour}, {time.Hour, 15 * time.Minute, 5 * time.Hour}, {time.Hour, 24 * time.Hour, 28 * time.Hour},
	} {
		p := &policy.Policy{Lifetimes: policy.DefaultLifetimes()}
		p.Lifetimes.Access, p.Verify.Every = tt.access, tt.every
		if got := bridge(p); got != tt.want {
			t.Errorf("access %v, every %v: %v", tt.access, tt.every, got)
		}
	}
}
