// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
)

// rewriter turns the places of one file into calls that behave as before unless the
// process was started as one of the mutants. Every form that it writes has the type of
// what it replaces, so that the result compiles.
type rewriter struct {
	pkg    *pkg
	src    *source
	edits  edits
	within string
	// wants tells whether a function or variable is to be changed, and names the group.
	wants func(within string) (group string, ok bool)
	add   func(m mutant) int

	// forced are conditions that are already made false and true, which negating them
	// would only repeat.
	forced map[ast.Expr]bool
	// refusals are the conditions of checks.
	refusals map[ast.Expr]bool
	// shifts are the directions in which literals change.
	shifts map[ast.Expr]int
	// fixed are constants that must stay constants.
	fixed map[ast.Expr]bool
}

// rewrite returns the changed text of a file. add numbers the mutants.
func rewrite(p *pkg, s *source, wants func(string) (string, bool), add func(mutant) int) string {
	r := &rewriter{
		pkg: p, src: s, wants: wants, add: add,
		forced: map[ast.Expr]bool{}, refusals: map[ast.Expr]bool{}, shifts: map[ast.Expr]int{}, fixed: map[ast.Expr]bool{},
	}
	for _, d := range s.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Body != nil {
				r.begin(funcName(d), d.Body)
			}
		case *ast.GenDecl:
			r.variables(d)
		}
	}
	return r.edits.apply(s.text)
}

// variables rewrites the initial values of package variables.
func (r *rewriter) variables(d *ast.GenDecl) {
	if d.Tok != token.VAR {
		return
	}
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		for _, value := range v.Values {
			r.begin(v.Names[0].Name, value)
		}
	}
}

func (r *rewriter) begin(within string, n ast.Node) {
	if _, ok := r.wants(within); ok {
		r.within = within
		ast.Inspect(n, r.visit)
	}
}

func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	return "(" + types.ExprString(d.Recv.List[0].Type) + ")." + d.Name.Name
}

func (r *rewriter) offset(p token.Pos) int { return r.pkg.fset.Position(p).Offset }

func (r *rewriter) text(n ast.Node) string {
	return r.src.text[r.offset(n.Pos()):r.offset(n.End())]
}

// mutant numbers a change to n.
func (r *rewriter) mutant(op string, n ast.Node) int {
	group, _ := r.wants(r.within)
	text := oneLine(r.text(n))
	e, isExpr := n.(ast.Expr)
	return r.add(mutant{
		group: group, dir: r.pkg.dir, file: filePath(r.pkg.dir, r.src.name), within: r.within, op: op, text: text,
		refuses: isExpr && op == opFalse && r.refusals[e],
	})
}

func filePath(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// call wraps n into a call of a helper, whose last argument it becomes.
func (r *rewriter) call(n ast.Node, helper string, ids ...int) {
	before := helper + "("
	for _, id := range ids {
		before += fmt.Sprintf("%d, ", id)
	}
	r.edits.wrap(r.offset(n.Pos()), r.offset(n.End()), before, ")")
}

// visit changes n itself; nodes are met before what is inside them, so that the wrap of
// the outer is the outer wrap.
func (r *rewriter) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		r.refusals[n.Cond] = n.Else == nil && r.refuses(n.Body)
		r.condition(n.Cond, true)
	case *ast.ForStmt:
		// True would never end.
		r.condition(n.Cond, false)
	case *ast.SwitchStmt:
		r.cases(n)
	case *ast.ReturnStmt:
		r.results(n)
	case *ast.BlockStmt:
		r.statements(n.List)
	case *ast.CaseClause:
		r.statements(n.Body)
	case *ast.CommClause:
		r.statements(n.Body)
		return true
	case *ast.GenDecl:
		// The inside of a function; constants must stay constants.
		return n.Tok == token.VAR
	case *ast.ArrayType:
		return false
	case *ast.CompositeLit:
		r.composite(n)
	case ast.Expr:
		return r.expression(n)
	}
	return true
}
