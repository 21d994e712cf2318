// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// What can happen in a run.
const (
	doRefresh = "refresh"
	doLook    = "look"    // at an access token
	doSteal   = "steal"   // a pair that the client holds or held
	doAbuse   = "abuse"   // the thief refreshes
	doForge   = "forge"   // the client's token with another MAC
	doForeign = "foreign" // the client's token shown by another client
	doRevoke  = "revoke"
	doRestart = "restart" // of a node
	doClock   = "clock"   // of a node steps
	doWait    = "wait"
)

// action is one thing that happens. Its numbers are taken modulo what there is.
type action struct {
	kind                  string
	client, process, node int
	pick                  int           // which of the pairs that the client had is stolen
	amount                time.Duration // of waiting or of a clock's offset
	// with lets it happen together with the next one.
	with bool
	// stale makes a process show what it holds instead of what is in the shared file.
	stale bool
	// lose loses the answer.
	lose bool
	// dieAt is the gate at which the node dies, failAt the call of the store that fails,
	// after its effect if after is set; 0 is never.
	dieAt, failAt int
	after         bool
	provider      string
}

// isCall tells whether an action may happen together with others.
func (a action) isCall() bool {
	switch a.kind {
	case doWait, doClock, doRestart, doSteal, doLook:
		return false
	}
	return true
}

// String is what a failing run prints.
func (a action) String() string {
	var b strings.Builder
	switch a.kind {
	case doWait:
		return "wait " + a.amount.String()
	case doClock:
		return fmt.Sprintf("clock of node %d to %+v", a.node, a.amount)
	case doRestart:
		return fmt.Sprintf("restart node %d", a.node)
	case doSteal:
		return fmt.Sprintf("steal from client %d, pair %d", a.client, a.pick)
	}
	fmt.Fprintf(&b, "%s client %d process %d at node %d", a.kind, a.client, a.process, a.node)
	for text, on := range map[string]bool{", from memory": a.stale, ", answer lost": a.lose} {
		if on {
			b.WriteString(text)
		}
	}
	if a.dieAt > 0 {
		fmt.Fprintf(&b, ", node dies at gate %d", a.dieAt)
	}
	if a.failAt > 0 {
		fmt.Fprintf(&b, ", store call %d fails (after its effect: %t)", a.failAt, a.after)
	}
	if a.provider != "" {
		fmt.Fprintf(&b, ", provider %s", a.provider)
	}
	if a.with {
		b.WriteString(", together with:")
	}
	return b.String()
}

// modelActions is how many actions a run has beside the sign-ins.
const modelActions = 24

// modelPlan is everything about a run that does not depend on its course.
type modelPlan struct {
	seed      uint64
	processes []int // of each client
	// strict is a provider that takes each of its tokens once, graceless is a grace of 0.
	strict, graceless bool
	actions           []action
	tally             *modelTally // nil where nobody counts
}

func newModelPlan(seed uint64) modelPlan {
	r := rand.New(rand.NewPCG(seed, 0))
	p := modelPlan{seed: seed, processes: []int{1, 1, 1 + r.IntN(3)}, strict: r.IntN(2) == 0, graceless: r.IntN(8) == 0}
	if r.IntN(3) == 0 {
		p.processes = append(p.processes, 2)
	}
	// Some runs are about one or two clients, so that their chains get long.
	busy := 1 + r.IntN(len(p.processes))
	for range modelActions {
		p.actions = append(p.actions, newAction(r, busy, len(p.processes), p.skew()))
	}
	return p
}

// skew is how far a clock may be from the true time. Two nodes must agree about who has
// the lease for asking a provider that is strict, to clockLeeway; the grace bridges more.
func (p modelPlan) skew() time.Duration {
	if p.strict {
		return clockLeeway / 2
	}
	return 25 * time.Second
}

func newAction(r *rand.Rand, busy, all int, skew time.Duration) action {
	a := action{kind: doRefresh, client: r.IntN(busy), process: r.IntN(3), node: r.IntN(2), pick: r.IntN(8)}
	if r.IntN(6) == 0 {
		a.client = r.IntN(all)
	}
	switch n := r.IntN(100); {
	case n < 52:
		a.disturb(r)
	case n < 60:
		a.kind = doAbuse
		a.disturb(r)
	case n < 66:
		a.kind = doSteal
	case n < 70:
		a.kind = doLook
	case n < 72:
		a.kind = []string{doForge, doForeign}[r.IntN(2)]
	case n < 74:
		a.kind = doRevoke
		a.with = r.IntN(2) == 0
	case n < 76:
		a.kind = doRestart
	case n < 80:
		a.kind, a.amount = doClock, time.Duration(r.Int64N(int64(2*skew)))-skew
	default:
		a.kind, a.amount = doWait, newGap(r)
	}
	return a
}

// disturb is what may go wrong with a refresh.
func (a *action) disturb(r *rand.Rand) {
	a.with, a.stale, a.lose = r.IntN(4) == 0, r.IntN(3) == 0, r.IntN(5) == 0
	switch r.IntN(12) {
	case 0:
		a.dieAt = 1 + r.IntN(8)
	case 1:
		a.failAt, a.after = 1+r.IntN(4), r.IntN(2) == 0
	case 2:
		a.provider = []string{providerDown, providerDown, providerLost, providerNo}[r.IntN(4)]
	}
}

// newGap is a time after which something else holds: in the grace, past it, past an
// access token, past a lost answer, past an idle session.
func newGap(r *rand.Rand) time.Duration {
	most := []time.Duration{
		30 * time.Second, 30 * time.Second, 3 * time.Minute, 3 * time.Minute, 3 * time.Minute, 2 * time.Hour, 6 * time.Hour,
		23 * time.Hour, 25 * time.Hour, 10 * 24 * time.Hour, 31 * 24 * time.Hour,
	}
	d := most[r.IntN(len(most))]
	return d/2 + time.Duration(r.Int64N(int64(d/2)))/time.Second*time.Second
}
