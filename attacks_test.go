// SPDX-License-Identifier: Apache-2.0

package mcpoauth_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// attack is a row of docs/attacks.md.
type attack struct{ id, name, answer string }

func attacks(t *testing.T) []attack {
	t.Helper()
	var all []attack
	id := regexp.MustCompile(`^ [A-Z]\d\d $`)
	for line := range strings.Lines(readFile(t, "docs/attacks.md")) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) == 5 && id.MatchString(cells[1]) {
			all = append(all, attack{strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])})
		}
	}
	return all
}

// testNames are the test functions of the whole tree.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, f := range goFiles(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.isTest() && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

// Every attack of the catalogue on tokens, on sessions and on the guard has a test that bears its name,
// or a reason why there is none.
func TestAttacksAreTested(t *testing.T) {
	t.Parallel()
	tests, rows := testNames(t), attacks(t)
	var ids, want []string
	for i := range 17 {
		want = append(want, fmt.Sprintf("H%02d", i+1))
	}
	for i := range 16 {
		want = append(want, fmt.Sprintf("I%02d", i+1))
	}
	for i := range 25 {
		want = append(want, fmt.Sprintf("J%02d", i+1))
	}
	code := regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	for _, a := range rows {
		ids = append(ids, a.id)
		named := code.FindAllStringSubmatch(a.answer, -1)
		for _, m := range named {
			if !tests[m[1]] || !strings.HasPrefix(m[1], "TestSec_"+a.id+"_") {
				t.Errorf("%s names %s, which is no test for it", a.id, m[1])
			}
		}
		if len(named) == 0 && len(strings.Fields(a.answer)) < 5 {
			t.Errorf("%s has neither a test nor a reason", a.id)
		}
		if a.name == "" {
			t.Errorf("%s does not say what the attack is", a.id)
		}
	}
	if !slices.Equal(ids, want) {
		t.Errorf("docs/attacks.md has the rows %q", ids)
	}
}

// secretWord finds names of values that a stranger may guess at.
var secretWord = regexp.MustCompile(`(?i)(secret|verifier|mac|hash|password|binding|signature)$`)

// guessed tells whether an operand is a secret, by its name.
func guessed(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return secretWord.MatchString(e.Name)
	case *ast.SelectorExpr:
		return secretWord.MatchString(e.Sel.Name)
	case *ast.SliceExpr:
		return guessed(e.X)
	case *ast.CallExpr:
		s, ok := e.Fun.(*ast.SelectorExpr)
		return ok && s.Sel.Name == "Reveal" || ok && secretWord.MatchString(s.Sel.Name)
	}
	return false
}

// trivial tells whether e is a literal or nil, which tells nothing about the other side but
// whether it is there.
func trivial(e ast.Expr) bool {
	id, isIdent := e.(*ast.Ident)
	_, isLiteral := e.(*ast.BasicLit)
	return isLiteral || isIdent && id.Name == "nil"
}

// byteByByte are the functions that stop at the first difference.
var byteByByte = []string{"bytes.Equal", "bytes.Compare", "strings.EqualFold", "strings.Compare", "slices.Equal"}

// quickComparisons are the places where secrets are compared as anything else is.
func quickComparisons(file *ast.File) []token.Pos {
	var found []token.Pos
	ast.Inspect(file, func(n ast.Node) bool {
		var operands []ast.Expr
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && !trivial(n.X) && !trivial(n.Y) {
				operands = []ast.Expr{n.X, n.Y}
			}
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && slices.Contains(byteByByte, x.Name+"."+s.Sel.Name) {
					operands = n.Args
				}
			}
		}
		if slices.ContainsFunc(operands, guessed) {
			found = append(found, n.Pos())
		}
		return true
	})
	return found
}

// Secrets are compared in constant time: anything else would tell by its duration how much
// of a guess was right.
func TestSec_H12_SecretsAreComparedInConstantTime(t *testing.T) {
	t.Parallel()
	for code, bad := range map[string]bool{
		"a.Hash == b": true, "a != verifier": true, "bytes.Equal(x, mac[:])": true, "s.Reveal() == x": true,
		"secret == nil": false, `secret == ""`: false, "a.kind == b.kind": false, "subtle.ConstantTimeCompare(mac, x) == 1": false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nvar _ = "+code, 0)
		if err != nil || (len(quickComparisons(file)) > 0) != bad {
			t.Errorf("%s: found %t, %v", code, !bad, err)
		}
	}
	for _, f := range goFiles(t) {
		if !f.production() {
			continue
		}
		for _, at := range quickComparisons(f.ast) {
			t.Errorf("%s: a secret is compared byte by byte", fileSet.Position(at))
		}
	}
}

// Nothing that has to be unguessable comes from a generator that can be guessed, and
// tests alone choose another source than the system's.
func TestSec_H13_RandomnessIsTheSystems(t *testing.T) {
	t.Parallel()
	sources := 0
	for _, f := range goFiles(t) {
		if !f.production() {
			continue
		}
		if f.imports("math/rand") || f.imports("golang.org/x/exp/rand") {
			t.Errorf("%s imports a generator that can be guessed", f.path)
		}
		if f.imports("crypto/rand") {
			sources++
		}
	}
	if sources == 0 {
		t.Error("nothing uses crypto/rand: does this test look at the right thing?")
	}
}
