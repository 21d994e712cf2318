// SPDX-License-Identifier: Apache-2.0

package mcpoauth_test

import (
	"go/ast"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// What docs/ shows as a Caddyfile is one, and formatted.
func TestDocsCaddyfiles(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, page := range pages {
		for _, block := range fenced(readFile(t, page), "caddyfile") {
			blocks++
			if got := string(caddyfile.Format([]byte(block))); got != block {
				t.Errorf("%s: caddy fmt makes of a block:\n%s", page, got)
			}
			if optInStore.MatchString(block) {
				continue // examples/ has a build that knows it
			}
			if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(block), nil); err != nil {
				t.Errorf("%s: %v in\n%s", page, err, block)
			}
		}
	}
	if blocks < 2 {
		t.Errorf("only %d blocks were found", blocks)
	}
}

// optInStore is a line with a store that is not in the default build.
var optInStore = regexp.MustCompile(`(?m)^\s*store (azure_table|cosmos|postgres|sqlite|sqlserver)\b`)

// Each test that docs/guarantees.md names is there.
func TestDocsGuaranteesAreTested(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	var names []string // as subtests are named in the suite of the stores
	for _, f := range goFiles(t) {
		if f.dir == "store/storetest" {
			names = append(names, f.text)
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.isTest() {
				tests[fn.Name.Name] = true
			}
		}
	}
	text := readFile(t, "docs/guarantees.md")
	for _, m := range regexp.MustCompile(`Test\w+…?`).FindAllString(text, -1) {
		prefix, open := strings.CutSuffix(m, "…")
		found := tests[m]
		for name := range tests {
			found = found || open && strings.HasPrefix(name, prefix)
		}
		if !found {
			t.Errorf("docs/guarantees.md names %s, which is no test", m)
		}
	}
	suite := strings.Join(names, "")
	for _, m := range regexp.MustCompile("`storetest` `([^`]+)`").FindAllStringSubmatch(text, -1) {
		if !strings.Contains(suite, `{"`+strings.TrimSuffix(m[1], "…")) {
			t.Errorf("docs/guarantees.md names %s, which the suite does not have", m[1])
		}
	}
}
