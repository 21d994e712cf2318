// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

const (
	// retryAtMost is how long after asking in vain the provider is asked again, where the
	// interval is longer: within a long interval, too, somebody has to notice that it works
	// again.
	retryAtMost = 15 * time.Minute
	// retryUrgent is the same where nothing but an answer helps. Microsoft wants to be left
	// alone for a minute after it throttled somebody.
	retryUrgent = time.Minute
)

// pace is how often the provider is asked about a grant that is being used, and how long
// its last yes serves when it cannot be asked.
type pace struct{ every, bridge time.Duration }

func paceOf(p *policy.Policy) pace { return pace{every: p.Verify.Every, bridge: bridge(p)} }

// bridge is how old the last yes may be while the provider cannot be asked. Before an
// outage begins the yes may have grown as old as it regularly does: as an access token, or
// as the interval of checks.
func bridge(p *policy.Policy) time.Duration {
	return max(p.Lifetimes.Access, p.Verify.Every) + p.Lifetimes.ProviderOutage
}

// history is what a grant says about the provider.
type history struct {
	// yes is when the provider last vouched for the person, asked when somebody last began
	// to ask it, leased until when somebody may be asking it now.
	yes, asked, leased time.Time
}

func (g *grantRecord) history() history {
	return history{yes: time.Unix(g.LastYes, 0), asked: time.Unix(g.Asked, 0), leased: time.Unix(0, g.LeaseUntil)}
}

// busy tells whether somebody has the lease. One that lasts longer than a lease can is of a
// clock that was wrong.
func (h history) busy(now time.Time) bool {
	left := h.leased.Sub(now)
	return left > 0 && left < leaseLife+leaseDoubt
}

// recent tells whether the last yes needs no confirmation yet. A clock that was set back
// must not put the next check off, so a yes of the future is as old as it is far.
func (p pace) recent(h history, now time.Time) bool {
	return p.every > 0 && now.Sub(h.yes).Abs() < p.every
}

// due is what follows from a history.
type due struct {
	// ask tells that the provider is to be asked, or is being asked already.
	ask bool
	// pass tells that the last yes serves until somebody has asked; patient that it need not
	// wait for the answer.
	pass, patient bool
	// busy tells that somebody may be asking now.
	busy bool
	// until is when to look again, but for an answer that comes before.
	until time.Time
}

// due applies the pace: one interval long the last yes serves, and a second one while
// somebody asks meanwhile. After that it serves only where the provider was asked in vain,
// until the bridge is crossed. Asking in vain counts as asking: there is one call in each
// interval, or pause.
func (p pace) due(h history, now time.Time) due {
	age := now.Sub(h.yes).Abs()
	if p.recent(h, now) {
		return due{pass: true, patient: true, until: h.yes.Add(p.every)}
	}
	pause := min(p.every, retryAtMost)
	if age >= p.bridge {
		pause = min(pause, retryUrgent)
	}
	vain := h.asked.After(h.yes)
	d := due{pass: age < p.bridge, patient: age < 2*p.every, busy: h.busy(now), until: h.yes.Add(2 * p.every)}
	switch again := h.asked.Add(pause); {
	case d.busy:
		d.ask, d.until = true, h.leased
	case vain && now.Sub(h.asked).Abs() < pause:
		d.patient, d.until = d.pass, again
	case d.patient:
		d.ask = true
	default:
		d.ask, d.until = true, now.Add(leaseLife)
	}
	if d.pass && h.yes.Add(p.bridge).Before(d.until) {
		d.until = h.yes.Add(p.bridge)
	}
	return d
}
