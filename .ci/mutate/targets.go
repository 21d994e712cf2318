// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

// target is code that is mutated.
type target struct {
	group string
	dir   string
	// files, unless empty, are the only ones.
	files []string
	// within, unless empty, are the only functions and variables.
	within []string
	// tests are the packages whose tests have to notice, in the order in which they are
	// asked.
	tests []string
}

// root is the package of the handler.
const root = "."

// targets is the code that stands between a request and the backend. Where two name one
// place the first has it.
var targets = []target{
	{
		group: "header", dir: "internal/guard", tests: []string{"internal/guard"},
		files: []string{"alias.go", "connection.go", "cookies.go", "forward.go", "origin.go", "pass.go", "writer.go"},
	},
	{group: "header", dir: root, files: []string{"guarded.go", "handler.go", "user.go"}, tests: []string{root}},
	{group: "guard", dir: "internal/guard", tests: []string{"internal/guard"}},
	{group: "guard", dir: "internal/oauth", files: []string{"earlydata.go"}, tests: []string{"internal/oauth", "internal/guard"}},
	{group: "path", dir: "internal/route", tests: []string{"internal/route"}},
	{group: "redirect", dir: "internal/oauth", files: []string{"redirect.go", "uri.go"}, tests: []string{"internal/oauth"}},
	{
		group: "redirect", dir: "internal/clients", files: []string{"accept.go", "client.go", "record.go", "registry.go", "wellknown.go"},
		within: []string{
			"acceptRedirects", "(accepted).record", "(*Client).Redirects", "(record).client", "(Rules).acceptsRedirect",
			"wellKnownRedirects", "(wellKnown).matches", "WellKnown", "Automatic", "SelectAccount",
		},
		tests: []string{"internal/clients"},
	},
	{
		group: "redirect", dir: "internal/authserver", files: []string{"redirect.go", "authorize.go", "login.go"},
		within: []string{
			"(*Server).answer", "(*Server).errorRedirect", "redirectTo", "redirectURI", "redirectStatus", "authorizeParams",
			"(*active).refuseClient", "(*active).reopen",
		},
		tests: []string{"internal/authserver"},
	},
}

// leftOut are tests that are slow and look at nothing that is mutated, by package.
var leftOut = map[string]string{
	root:                  "^(Fuzz|TestArch|TestSource|TestReadme|TestExample|TestModules|TestEvery|TestAdaptGoldens|TestValidateGoldens|TestRoundTrip|TestReloadsUnderLoad|TestLeaseUnderLoad|TestEnd|TestGoroutinesEnd|TestMaintenance)",
	"internal/authserver": "^(TestSec_M01_AuthorizeFlood|TestHostile)",
}

// chosen finds the target of a place.
func chosen(dir, file, within string) (target, bool) {
	for _, t := range targets {
		if t.dir == dir && has(t.files, file) && has(t.within, within) {
			return t, true
		}
	}
	return target{}, false
}

func has(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }

// directories are those of the targets, each once.
func directories() []string {
	var dirs []string
	for _, t := range targets {
		if !slices.Contains(dirs, t.dir) {
			dirs = append(dirs, t.dir)
		}
	}
	return dirs
}

// missing names what targets name and nothing has: code that was renamed must not drop
// out unseen.
func missing(mutants []*mutant) []string {
	seen := map[string]bool{}
	for _, m := range mutants {
		seen[m.file], seen[m.dir+" "+m.within] = true, true
	}
	var gone []string
	for _, t := range targets {
		for _, f := range t.files {
			if !seen[filePath(t.dir, f)] {
				gone = append(gone, fmt.Sprintf("file %s", filePath(t.dir, f)))
			}
		}
		for _, w := range t.within {
			if !seen[t.dir+" "+w] {
				gone = append(gone, fmt.Sprintf("%s in %s", w, t.dir))
			}
		}
	}
	return gone
}

// testsOf are the packages whose tests count for m.
func testsOf(m *mutant) []string {
	t, _ := chosen(m.dir, strings.TrimPrefix(m.file, m.dir+"/"), m.within)
	return t.tests
}

// testDirectories are all of them, each once.
func testDirectories(mutants []*mutant) []string {
	var dirs []string
	for _, m := range mutants {
		for _, dir := range testsOf(m) {
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}
