// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"os"
	"runtime/debug"
	"strconv"
	"testing"
)

// modelRuns is how many runs there are, unless MCPOAUTH_MODEL_RUNS says otherwise.
const modelRuns = 3000

// MCPOAUTH_MODEL_SEED repeats the one run that a failure names.
func TestRefreshModel(t *testing.T) {
	t.Parallel()
	if seed, ok := number(t, "MCPOAUTH_MODEL_SEED"); ok {
		modelRun(t, seed, nil)
		return
	}
	// Much is allocated and nothing is kept.
	former := debug.SetGCPercent(800)
	t.Cleanup(func() { debug.SetGCPercent(former) })
	runs, ok := number(t, "MCPOAUTH_MODEL_RUNS")
	if !ok {
		runs = modelRuns
	}
	const workers = 2
	var tally modelTally
	t.Cleanup(func() {
		t.Logf("%d runs, answers by case: %s", runs, &tally)
		for i := range tally {
			if tally[i].Load() == 0 && !t.Failed() {
				t.Errorf("no answer by case %s", ruling(i))
			}
		}
	})
	for first := range uint64(workers) {
		t.Run(strconv.FormatUint(first, 10), func(t *testing.T) {
			t.Parallel()
			for seed := first; seed < runs && !t.Failed(); seed += workers {
				modelRun(t, seed, &tally)
			}
		})
	}
}

func modelRun(t *testing.T, seed uint64, tally *modelTally) {
	t.Helper()
	p := newModelPlan(seed)
	p.tally = tally
	if runModel(t, p, seededBug{}) == "" {
		return
	}
	short, fault := shrink(t, p, seededBug{})
	t.Errorf("MCPOAUTH_MODEL_SEED=%d: %s\n  clients with %v processes, provider strict: %t, no grace: %t, and these actions:%s", seed, fault, p.processes, p.strict, p.graceless, short)
}

// modelBugRuns is after how many runs each seeded bug is found at the latest.
const modelBugRuns = 1000

// A model that finds nothing proves nothing. What a bug breaks is seen as well by who knows
// nothing of the rule.
func TestRefreshModelFindsBugs(t *testing.T) {
	t.Parallel()
	for _, bug := range seededBugs() {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			findBug(t, bug)
			if bug.alone = true; bug.breaks != "" {
				findBug(t, bug)
			}
		})
	}
}

func findBug(t *testing.T, bug seededBug) {
	t.Helper()
	for seed := range uint64(modelBugRuns) {
		if fault := runModel(t, newModelPlan(seed), bug); fault != "" {
			t.Logf("found after %d runs: %s", seed+1, fault)
			return
		}
	}
	t.Errorf("not found in %d runs, by its promise alone: %t", modelBugRuns, bug.alone)
}

func number(t *testing.T, name string) (uint64, bool) {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n, true
}
