// SPDX-License-Identifier: Apache-2.0

// Command summary reads the output of `go test -json`, prints one line per package and
// everything that a failed test wrote, and fails where a test failed or was skipped.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

type event struct {
	Action, Package, Test, Output string
	// ImportPath names the package in the events of a failed build.
	ImportPath string
	Elapsed    float64
}

type tally struct {
	passed          int
	output          map[string][]string // by test, "" for the package
	failed, skipped []string
}

func main() {
	ok, err := run(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run copies what matters and tells whether every test passed.
func run(in io.Reader, out io.Writer) (bool, error) {
	packages, tests, failed, skipped := map[string]*tally{}, 0, 0, []string{}
	decoder := json.NewDecoder(bufio.NewReader(in))
	for {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return false, err
		}
		name := cmp.Or(e.Package, e.ImportPath)
		if packages[name] == nil {
			packages[name] = &tally{output: map[string][]string{}}
		}
		t := packages[name]
		t.add(e)
		if e.Test != "" || e.Action != "pass" && e.Action != "fail" && e.Action != "build-fail" {
			continue
		}
		t.print(out, e, name)
		tests += t.passed + len(t.failed) + len(t.skipped)
		if e.Action != "pass" {
			failed++
		}
		for _, s := range t.skipped {
			skipped = append(skipped, name+" "+s)
		}
	}
	fmt.Fprintf(out, "%d tests in %d packages, %d packages failed, %d tests skipped\n",
		tests, len(packages), failed, len(skipped))
	for _, s := range skipped {
		fmt.Fprintln(out, "SKIPPED", s)
	}
	if tests == 0 {
		return false, errors.New("no test ran")
	}
	return failed == 0 && len(skipped) == 0, nil
}

func (t *tally) add(e event) {
	switch {
	case e.Output != "":
		t.output[e.Test] = append(t.output[e.Test], e.Output)
	case e.Test == "":
	case e.Action == "pass":
		t.passed++
		delete(t.output, e.Test)
	case e.Action == "fail":
		t.failed = append(t.failed, e.Test)
	case e.Action == "skip":
		t.skipped = append(t.skipped, e.Test)
	}
}

func (t *tally) print(out io.Writer, e event, name string) {
	if e.Action == "pass" {
		fmt.Fprintf(out, "ok    %-60s %7.2fs  %d tests\n", name, e.Elapsed, t.passed)
		return
	}
	fmt.Fprintf(out, "FAIL  %s\n", name)
	for _, test := range slices.Sorted(maps.Keys(t.output)) {
		for _, line := range t.output[test] {
			fmt.Fprint(out, "      ", line)
		}
	}
}
