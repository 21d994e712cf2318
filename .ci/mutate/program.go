// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// program is the compiled tests of one package, with every mutant in them.
type program struct {
	dir  string // of the package, below the module
	path string
	cwd  string
	env  []string
	// tests are the top-level tests, with what each takes.
	tests []string
	took  map[string]time.Duration
	// reach are the tests that pass by a mutant, the quickest first.
	reach map[int][]string
}

// patience is how long tests may take that a mutant could have made endless: this, and
// several times what they take without it.
const (
	patience = 3 * time.Second
	slower   = 5
	// unknown is the limit for tests that have not been timed yet.
	unknown = 3 * time.Minute
)

// orphans is how long the output is read after the tests have ended.
const orphans = 5 * time.Second

// list fills in the tests.
func (p *program) list(skip string) error {
	cmd := exec.Command(p.path, "-test.list", "^Test")
	cmd.Dir = p.cwd
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", p.dir, err)
	}
	except := regexp.MustCompile(cmp.Or(skip, "^$"))
	for _, name := range strings.Fields(string(out)) {
		if !except.MatchString(name) {
			p.tests = append(p.tests, name)
		}
	}
	if len(p.tests) == 0 {
		return fmt.Errorf("%s has no tests", p.dir)
	}
	return nil
}

// limit is how long tests may take.
func (p *program) limit(tests []string) time.Duration {
	limit := patience
	for _, test := range tests {
		limit += slower * p.took[test]
	}
	return limit
}

// run executes tests with MCPOAUTH_MUTANT set to selected. It returns "" where they pass,
// otherwise the name of a test that fails or what else happened.
func (p *program) run(selected string, tests []string, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	// A mutant that never stops growing must not take the machine's memory.
	cmd := exec.CommandContext(ctx, "sh", "-c", `ulimit -v 16777216 && exec "$0" "$@"`, p.path,
		"-test.failfast", "-test.v", "-test.timeout=0", "-test.run", "^("+strings.Join(tests, "|")+")$")
	cmd.Dir = p.cwd
	cmd.Env = append(append(os.Environ(), p.env...), "MCPOAUTH_MUTANT="+selected)
	read, write, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Start()
	write.Close()
	if err != nil {
		return "", err
	}
	failed := make(chan string, 1)
	go func() { failed <- firstFailure(read, cancel) }()
	err = cmd.Wait()
	// A process that the tests started may hold the other end for a moment longer.
	closing := time.AfterFunc(orphans, func() { read.Close() })
	defer closing.Stop()
	why := <-failed
	var exit *exec.ExitError
	switch {
	case why != "":
		return why, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "no end after " + limit.Round(time.Second).String(), nil
	case errors.As(err, &exit):
		return "end of the process: " + exit.String(), nil
	}
	return "", err
}

// firstFailure reads the output of tests to its end; at the first failure it calls stop
// and remembers the name of the test.
func firstFailure(out io.Reader, stop func()) string {
	first := ""
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); found && first == "" {
			first, _, _ = strings.Cut(name, " ")
			stop()
		}
		if err != nil {
			return first
		}
	}
}

// observe runs one test without a mutant and notes what it passes by.
func (p *program) observe(test, tmp string) ([]int, time.Duration, error) {
	file := filepath.Join(tmp, "reached-"+strings.ReplaceAll(p.dir, "/", "_")+"-"+test)
	began := clock.System()
	why, err := p.run("record:"+file, []string{test}, unknown)
	took := clock.System().Sub(began)
	if err == nil && why != "" {
		err = fmt.Errorf("%s: %s fails without any mutant (%s)", p.dir, test, why)
	}
	if err != nil {
		return nil, 0, err
	}
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, 0, err
	}
	var ids []int
	for line := range bytes.Lines(text) {
		id, err := strconv.Atoi(strings.TrimSpace(string(line)))
		if err != nil {
			return nil, 0, err
		}
		ids = append(ids, id)
	}
	return ids, took, nil
}

// quick orders tests by what they take.
func (p *program) quick() {
	for _, tests := range p.reach {
		slices.SortFunc(tests, func(a, b string) int { return cmp.Or(cmp.Compare(p.took[a], p.took[b]), cmp.Compare(a, b)) })
	}
}
