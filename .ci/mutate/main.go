// SPDX-License-Identifier: Apache-2.0

// Command mutate tells whether the tests notice when a check is taken out. It changes the
// code between a request and the backend in about every place where one token can be
// wrong, and runs the tests against each change. Those that no test notices must be listed
// with the reason in survivors.txt.
//
// All mutants are compiled at once, each behind a condition; the environment variable
// MCPOAUTH_MUTANT says which of them a process is.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

type options struct {
	only     string
	verbose  bool
	list     bool
	campaign bool
	workers  int
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "try only mutants whose identity matches the regular `expression`")
	flag.BoolVar(&o.verbose, "v", false, "say which test kills which mutant")
	flag.BoolVar(&o.list, "list", false, "print the mutants and try none")
	flag.BoolVar(&o.campaign, "campaign", false, "take out the checks of guard and routes one by one and run the quick campaign against each")
	flag.IntVar(&o.workers, "workers", runtime.NumCPU(), "how many `processes` run at once")
	flag.Parse()
	ok, err := run(o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(o options, out io.Writer) (bool, error) {
	module, err := moduleRoot()
	if err != nil {
		return false, err
	}
	only, err := regexp.Compile(o.only)
	if err != nil {
		return false, err
	}
	listed, err := readSurvivors(filepath.Join(module, survivorsFile))
	if err != nil {
		return false, err
	}
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	pkgs, err := load(module, directories())
	if err != nil {
		return false, err
	}
	c, err := change(module, tmp, pkgs, func(dir, file, within string) (string, bool) {
		t, ok := chosen(dir, file, within)
		return t.group, ok
	})
	if err != nil {
		return false, err
	}
	if gone := missing(c.mutants); len(gone) > 0 {
		return false, fmt.Errorf("targets that do not exist: %s", strings.Join(gone, ", "))
	}
	var mutants []*mutant
	for _, m := range c.mutants {
		if only.MatchString(m.identity()) {
			mutants = append(mutants, m)
		}
	}
	if o.list {
		for _, m := range mutants {
			fmt.Fprintln(out, m.identity())
		}
		return true, nil
	}
	t := &trial{changed: c, workers: o.workers}
	if o.campaign {
		return t.campaign(mutants, out, o.only != "")
	}
	return t.units(mutants, newReport(out, listed, o.verbose), o.only != "")
}

// units tries mutants against the tests beside the code.
func (t *trial) units(mutants []*mutant, r *report, partial bool) (bool, error) {
	began := clock.System()
	if err := t.prepare(testDirectories(mutants)); err != nil {
		return false, err
	}
	prepared := clock.System()
	if err := t.judge(mutants, testsOf, r.add); err != nil {
		return false, err
	}
	ok := r.finish(partial)
	fmt.Fprintf(r.out, "%.0f s to compile and to see what tests pass by, %.0f s to try\n",
		prepared.Sub(began).Seconds(), clock.System().Sub(prepared).Seconds())
	return ok, nil
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod here or above")
		}
	}
}
