// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// runModel runs a plan and returns what was wrong, or "".
func runModel(t *testing.T, p modelPlan, bug seededBug) (fault string) {
	synctest.Test(t, func(*testing.T) {
		w, err := newModelWorld(p, bug)
		if err == nil {
			err = w.populate(p)
		}
		if err != nil {
			fault = err.Error()
			return
		}
		w.play(p.actions)
		if w.check.fault == "" && p.seed%modelProbes == 0 {
			w.check.probe()
		}
		fault = w.check.fault
	})
	return fault
}

func (w *modelWorld) populate(p modelPlan) error {
	for i, n := range p.processes {
		c := newModelClient(i, n)
		w.clients = append(w.clients, c)
		if err := w.signIn(c, w.nodes[i%2]); err != nil {
			return err
		}
	}
	return nil
}

// play performs the actions until something is wrong.
func (w *modelWorld) play(actions []action) {
	var batch []*modelCall
	for _, a := range actions {
		if !a.isCall() {
			w.together(batch)
			batch = nil
		}
		if call := w.perform(a); call != nil {
			batch = append(batch, call)
		}
		if a.with && len(batch) < 4 {
			continue
		}
		w.together(batch)
		batch = nil
		if w.check.fault != "" {
			return
		}
	}
	w.together(batch)
}

// perform does what an action is, or returns the call that it is.
func (w *modelWorld) perform(a action) *modelCall {
	c := w.clients[a.client%len(w.clients)]
	p := c.processes[a.process%len(c.processes)]
	switch a.kind {
	case doWait:
		w.wait(a.amount)
		return nil
	case doClock:
		w.nodes[a.node].offset = a.amount
		return nil
	case doRestart:
		w.start(a.node, w.nodes[a.node].offset)
		return nil
	case doAbuse:
		if c.thief.holds == nil {
			return nil
		}
		return w.refresh(a, c.thief, c.thief.holds)
	}
	if c.session == nil { // it was logged out, so its person signs in again
		if err := w.signIn(c, w.nodes[a.node]); err != nil {
			w.check.failf(nil, "%s: cannot sign in: %v", a, err)
			return nil
		}
	}
	if !a.stale || p.holds == nil {
		p.holds = c.file
	}
	switch a.kind {
	case doSteal:
		w.steal(c, a.pick)
	case doLook:
		w.look(a, p.holds)
	case doRevoke:
		return w.revoke(a, p.holds)
	default:
		return w.refresh(a, p, p.holds)
	}
	return nil
}

// shrink returns a shorter list of actions with which the run still fails: it leaves out
// ever smaller parts as long as that is so.
func shrink(t *testing.T, p modelPlan, bug seededBug) (modelPlan, string) {
	fault := runModel(t, p, bug)
	for size := len(p.actions) / 2; size > 0; {
		shorter := false
		for at := 0; at+size <= len(p.actions); {
			q := p
			q.actions = slices.Delete(slices.Clone(p.actions), at, at+size)
			if f := runModel(t, q, bug); f != "" {
				p, fault, shorter = q, f, true
				continue
			}
			at += size
		}
		if !shorter {
			size /= 2
		}
	}
	return p, fault
}

func (p modelPlan) String() string {
	var b strings.Builder
	for _, a := range p.actions {
		b.WriteString("\n    " + a.String())
	}
	return b.String()
}
