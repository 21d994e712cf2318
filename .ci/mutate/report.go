// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// least is the share of mutants that tests must notice, per group too.
const least = 0.95

// byChance begins the reason of a survivor that a test may notice where goroutines meet.
const byChance = "by chance: "

// tally counts verdicts of one group.
type tally struct{ all, killed int }

func (t tally) share() float64 { return float64(t.killed) / float64(t.all) }

// report gathers verdicts.
type report struct {
	out     io.Writer
	listed  map[string]string // reasons of the listed survivors
	verbose bool

	groups map[string]tally
	seen   map[string]bool
	faults []string
}

func newReport(out io.Writer, listed map[string]string, verbose bool) *report {
	return &report{out: out, listed: listed, verbose: verbose, groups: map[string]tally{}, seen: map[string]bool{}}
}

func (r *report) add(v verdict) {
	t := r.groups[v.group]
	t.all++
	identity := v.identity()
	r.seen[identity] = true
	_, listed := r.listed[identity]
	switch {
	case v.killer != "":
		t.killed++
		if listed && !strings.HasPrefix(r.listed[identity], byChance) {
			r.faults = append(r.faults, fmt.Sprintf("listed as a survivor, but %s notices it: %s", v.killer, identity))
		}
		if r.verbose {
			fmt.Fprintf(r.out, "killed by %s: %s\n", v.killer, identity)
		}
	case !listed && !v.reached:
		r.faults = append(r.faults, "no test passes by: "+identity)
	case !listed:
		r.faults = append(r.faults, "no test notices: "+identity)
	}
	r.groups[v.group] = t
}

// finish prints the outcome and tells whether all is well. partial says that only some
// mutants were tried.
func (r *report) finish(partial bool) bool {
	if !partial {
		for _, identity := range slices.Sorted(maps.Keys(r.listed)) {
			if !r.seen[identity] {
				r.faults = append(r.faults, "listed as a survivor, but there is no such mutant: "+identity)
			}
		}
	}
	slices.Sort(r.faults)
	for _, f := range r.faults {
		fmt.Fprintln(r.out, f)
	}
	var total tally
	ok := len(r.faults) == 0
	for _, name := range slices.Sorted(maps.Keys(r.groups)) {
		t := r.groups[name]
		total.all += t.all
		total.killed += t.killed
		ok = r.line(name, t) && ok
	}
	return r.line("all", total) && ok
}

func (r *report) line(name string, t tally) bool {
	fmt.Fprintf(r.out, "%-9s %4d mutants, %4d killed, %3d survive: %.1f %%\n", name, t.all, t.killed, t.all-t.killed, 100*t.share())
	return t.share() >= least
}
