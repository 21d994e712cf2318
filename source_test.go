// SPDX-License-Identifier: Apache-2.0

package mcpoauth_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	maxFileLines     = 300
	maxFunctionLines = 60
)

// goFile is a parsed source file of this module.
type goFile struct {
	path, dir string // with slashes, below the module
	text      string
	ast       *ast.File
}

var (
	fileSet = token.NewFileSet()
	sources = sync.OnceValues(readSources)
)

func readSources() ([]goFile, error) {
	var all []goFile
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != "." && base != ".ci" && strings.HasPrefix(base, ".") || base == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(fileSet, name, text, parser.ParseComments|parser.SkipObjectResolution)
		slashed := filepath.ToSlash(name)
		all = append(all, goFile{path: slashed, dir: path.Dir(slashed), text: string(text), ast: parsed})
		return err
	})
	return all, err
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("found only %d Go files", len(all))
	}
	return all
}

func (f goFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// production tells whether the file ends up in a server.
func (f goFile) production() bool { return !f.isTest() && !testSupport(f.dir) && !below(f.dir, ".ci") }

// imports tells whether the file imports the package or one below it.
func (f goFile) imports(root string) bool {
	for _, i := range f.ast.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil && below(p, root) {
			return true
		}
	}
	return false
}

// uses returns the position of the first mention of one of the qualified names, such as
// "time.Now", or "". Names are taken as written: no file renames these packages.
func (f goFile) uses(names ...string) string {
	found := ""
	ast.Inspect(f.ast, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || found != "" {
			return found == ""
		}
		if x, ok := s.X.(*ast.Ident); ok && below(x.Name+"."+s.Sel.Name, names...) {
			found = fileSet.Position(n.Pos()).String() + ": " + x.Name + "." + s.Sel.Name
		}
		return true
	})
	return found
}

func TestSourceLicence(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if !strings.HasPrefix(f.text, "// SPDX-License-Identifier: Apache-2.0\n\n") {
			t.Errorf("%s does not begin with the SPDX line and a blank line", f.path)
		}
	}
}

func TestSourceSize(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if f.isTest() {
			continue
		}
		if n := strings.Count(f.text, "\n"); n > maxFileLines {
			t.Errorf("%s has %d lines; a file is one idea and at most %d", f.path, n, maxFileLines)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := fileSet.Position(fn.End()).Line - fileSet.Position(fn.Pos()).Line + 1; n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, more than %d", f.path, fn.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

// Time comes from internal/clock, so that everything that depends on it can be tested
// without waiting.
func TestSourceTime(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if f.isTest() || f.dir == "internal/clock" {
			continue
		}
		if at := f.uses("time.Now", "time.Since", "time.Until"); at != "" {
			t.Errorf("%s: the time comes from internal/clock", at)
		}
	}
}

func TestSourceNoSleep(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if at := f.uses("time.Sleep"); at != "" {
			t.Errorf("%s: wait for what is expected, not for a while", at)
		}
	}
}

// Requests go out from providers alone, with clients that bound time and size. The
// address of anything else that is fetched is chosen by somebody else and goes through
// internal/fetch.
func TestSourceHTTPClients(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if !f.production() {
			continue
		}
		if at := f.uses("http.DefaultClient", "http.Get", "http.Head", "http.Post", "http.PostForm"); at != "" {
			t.Errorf("%s has no time limit", at)
		}
		made := strings.Contains(f.text, "http.Client{") || strings.Contains(f.text, "http.Transport{")
		if made && !below(f.dir, "provider", "internal/fetch") {
			t.Errorf("%s: HTTP clients are made in provider and internal/fetch alone", f.path)
		}
	}
}

// Errors reach the wire through one writer (internal/oauth) or a page, never as plain
// text and never through Caddy's error routes, which could proxy them.
func TestSourceErrorsHaveOneWriter(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if !f.production() {
			continue
		}
		if at := f.uses("http.Error", "http.NotFound", "caddyhttp.Error"); at != "" {
			t.Errorf("%s: errors are written by internal/oauth and internal/pages", at)
		}
	}
}

// A test that is skipped proves nothing. It may be where a program is missing, and fails
// instead where the machine promised to have it, which mcptest.Need does.
func TestSourceSkips(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		at := f.uses("t.Skip", "t.Skipf", "t.SkipNow", "b.Skip", "b.Skipf", "f.Skip", "f.Skipf", "testing.Short")
		if at != "" && !strings.Contains(f.text, "MCPOAUTH_REQUIRE") {
			t.Errorf("%s: use mcptest.Need", at)
		}
	}
}
