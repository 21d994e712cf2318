// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// ruling is what the refresh rule says about a refresh token that somebody shows. The
// numbers are those of the five cases.
type ruling int

const (
	ruledRotated   ruling = iota + 1 // the current token: a new pair replaces it
	ruledGraced                      // its predecessor within the grace: the same pair again
	ruledRecovered                   // its predecessor later: another pair replaces the one never shown
	ruledReused                      // anything else that was made for this grant: the grant ends
	ruledRefused                     // invalid_grant, without any effect
)

func (r ruling) String() string {
	return [...]string{"none", "1 (rotated)", "2 (graced)", "3 (recovered)", "4 (reused)", "5 (refused)"}[r]
}

// modelLostResponse is how long after its rotation an answer may have been lost.
const modelLostResponse = 24 * time.Hour

// modelState is a grant as the rule sees it; tokens are hashes. It is written from the
// rule and knows nothing of how the rule is built.
type modelState struct {
	number  int // of the state, from the grant's creation on
	gen     uint32
	current [32]byte
	access  [32]byte // belongs to current
	prev    [32]byte // zero before the first rotation
	// Times are unix seconds of the node that wrote them.
	changed  int64 // when current was made
	replaced int64 // when prev was replaced for the first time
	created  int64
	expires  int64 // absolute
	yes      int64 // when the provider last vouched for the person
	ended    bool
}

// rule decides about a token with a good MAC, shown by the client of the grant. Without a
// grace a token is good once.
func (s *modelState) rule(hash [32]byte, gen uint32, now time.Time, l policy.Lifetimes) ruling {
	since := func(unix int64) time.Duration { return now.Sub(time.Unix(unix, 0)) }
	switch {
	case s.ended, now.Unix() >= s.expires, now.Unix() >= max(s.changed, s.created)+seconds(l.RefreshIdle):
		return ruledRefused
	case gen > s.gen: // a failover lost the rotation
		return ruledRefused
	case hash == s.current:
		return ruledRotated
	case s.prev == [32]byte{} || hash != s.prev || l.RefreshGrace == 0:
		return ruledReused
	case since(s.changed) <= l.RefreshGrace:
		return ruledGraced
	case since(s.replaced) <= modelLostResponse:
		return ruledRecovered
	}
	return ruledReused
}

// bridges tells whether a refresh may succeed while the provider cannot be asked.
func (s *modelState) bridges(now int64, l policy.Lifetimes) bool {
	return now-s.yes < seconds(l.Access+l.ProviderOutage)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// modelTally counts the answers of runs by the case of the rule; those of no case had none
// of their own: they waited for another call or were unknown.
type modelTally [ruledRefused + 1]atomic.Int64

func (t *modelTally) count(c *modelCall) {
	if t == nil {
		return
	}
	if c.seen == nil || c.err != nil && (c.broken || c.unasked) {
		t[0].Add(1)
		return
	}
	t[c.ruled].Add(1)
}

func (t *modelTally) String() string {
	var b strings.Builder
	for i := range t {
		fmt.Fprintf(&b, "%s: %d  ", ruling(i), t[i].Load())
	}
	return b.String()
}
