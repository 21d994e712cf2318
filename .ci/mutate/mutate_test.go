// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const fixture = ".ci/mutate/testdata/fixture"

// rewritten is the fixture with its mutants, built once.
var rewritten = sync.OnceValues(func() (*changed, error) {
	module, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return nil, err
	}
	pkgs, err := load(module, []string{fixture})
	if err != nil {
		return nil, err
	}
	return change(module, tmp, pkgs, func(_, _, within string) (string, bool) { return "fixture", within != "never" })
})

func TestMain(m *testing.M) {
	code := m.Run()
	if c, err := rewritten(); err == nil {
		os.RemoveAll(c.tmp)
	}
	os.Exit(code)
}

func fixtureMutants(t *testing.T) *changed {
	t.Helper()
	c, err := rewritten()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Without a mutant the fixture's tests pass; each mutant changes what the code does, which
// they notice, except in the two places where nobody can.
func TestEveryOperatorChangesBehaviour(t *testing.T) {
	t.Parallel()
	tr := &trial{changed: fixtureMutants(t), workers: 2}
	if err := tr.prepare([]string{fixture}); err != nil {
		t.Fatal(err)
	}
	operators := map[string]int{}
	err := tr.judge(tr.changed.mutants, func(*mutant) []string { return []string{fixture} }, func(v verdict) {
		operators[v.op]++
		switch v.within {
		case "unreached":
			if v.reached || v.killer != "" {
				t.Errorf("%s: reached %t, killed by %q", v.identity(), v.reached, v.killer)
			}
		case "equivalent":
			if v.op == opFalse && v.killer != "" {
				t.Errorf("%s: killed by %q", v.identity(), v.killer)
			}
		default:
			if !v.reached || v.killer == "" {
				t.Errorf("%s: reached %t, survived", v.identity(), v.reached)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{
		opFalse, opTrue, opDrop, opSwap, opNot, opBoundary, opShift, opText, opZero, opNoError, opStatement,
	} {
		if operators[op] == 0 {
			t.Errorf("the fixture has no place for %q", op)
		}
	}
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	var all []string
	for _, m := range fixtureMutants(t).mutants {
		all = append(all, m.identity())
	}
	for _, want := range []string{
		fixture + "/fixture.go: check: false: n < 0 || n > limit",
		fixture + "/fixture.go: check: drop: n < 0",
		fixture + "/fixture.go: both: swap: a && (b || c)",
		fixture + "/fixture.go: name: shift: second",
		fixture + "/fixture.go: words: text: \"beta\"",
		fixture + "/fixture.go: compose: zero: text: s",
		fixture + "/fixture.go: split: no error: errRefused",
		fixture + "/fixture.go: sum: statement: break outer",
		fixture + "/fixture.go: sum: shift: 0 #2",
	} {
		if !slices.Contains(all, want) {
			t.Errorf("there is no mutant %q in\n%s", want, strings.Join(all, "\n"))
		}
	}
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Error("two mutants have one identity")
	}
	for _, identity := range all {
		// Prose, and results beside a no, are no behaviour.
		if strings.Contains(identity, "wording") || strings.Contains(identity, `split: text: ""`) {
			t.Errorf("mutant %q", identity)
		}
	}
}

// The checks that the campaign has to miss are those whose body says no.
func TestRefusals(t *testing.T) {
	t.Parallel()
	var checks []string
	for _, m := range fixtureMutants(t).mutants {
		if m.refuses {
			checks = append(checks, m.within)
		}
	}
	if !slices.Equal(checks, []string{"check"}) {
		t.Errorf("checks in %v", checks)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	one := &mutant{group: "g", file: "f.go", within: "f", op: opTrue, text: "a"}
	two := &mutant{group: "g", file: "f.go", within: "f", op: opTrue, text: "b"}
	killed, alive := verdict{mutant: one, killer: "TestX", reached: true}, verdict{mutant: two, reached: true}
	const listed, other = "f.go: f: true: b", "f.go: f: true: a"
	for name, tt := range map[string]struct {
		verdicts []verdict
		listed   []string
		reason   string
		partial  bool
		want     bool
	}{
		"all killed":           {verdicts: []verdict{killed}, want: true},
		"unlisted survivor":    {verdicts: append(slices.Repeat([]verdict{killed}, 30), alive)},
		"listed survivor":      {verdicts: append(slices.Repeat([]verdict{killed}, 30), alive), listed: []string{listed}, want: true},
		"too many survivors":   {verdicts: append(slices.Repeat([]verdict{killed}, 18), alive), listed: []string{listed}},
		"killed by chance":     {verdicts: []verdict{killed}, listed: []string{other}, reason: byChance, want: true},
		"listed but killed":    {verdicts: []verdict{killed}, listed: []string{other}},
		"listed but gone":      {verdicts: []verdict{killed}, listed: []string{listed}},
		"gone in a part of it": {verdicts: []verdict{killed}, listed: []string{listed}, partial: true, want: true},
	} {
		reasons := map[string]string{}
		for _, identity := range tt.listed {
			reasons[identity] = tt.reason + "a reason"
		}
		var out strings.Builder
		r := newReport(&out, reasons, false)
		for _, v := range tt.verdicts {
			r.add(v)
		}
		if got := r.finish(tt.partial); got != tt.want {
			t.Errorf("%s: %t\n%s", name, got, out.String())
		}
	}
}

func TestSurvivorsNeedAReason(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "survivors.txt")
	for text, ok := range map[string]bool{
		"# comment\n\nf.go: f: true: a || b => it is\n": true,
		"f.go: f: true: a\n":                            false,
		"f.go: f: true: a => \n":                        false,
		"f: a => x\nf: a => y\n":                        false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readSurvivors(path); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Code that was renamed must not drop out of the targets unseen.
func TestMissingTargets(t *testing.T) {
	t.Parallel()
	gone := missing([]*mutant{{dir: "internal/oauth", file: "internal/oauth/uri.go", within: "parseURI"}})
	if !slices.Contains(gone, "file internal/oauth/redirect.go") || slices.Contains(gone, "file internal/oauth/uri.go") {
		t.Errorf("gone: %v", gone)
	}
}
