// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
)

// boolean tells whether e is a bool that is not known before the program runs.
func (r *rewriter) boolean(e ast.Expr) bool {
	tv := r.pkg.info.Types[e]
	if tv.Type == nil || tv.Value != nil {
		return false
	}
	basic, ok := tv.Type.(*types.Basic)
	return ok && (basic.Kind() == types.Bool || basic.Kind() == types.UntypedBool)
}

// expression changes e and tells whether to look inside.
func (r *rewriter) expression(e ast.Expr) bool {
	tv := r.pkg.info.Types[e]
	if tv.IsType() || r.fixed[e] {
		return false
	}
	if tv.Value != nil {
		if literal(e) {
			r.constant(e)
		}
		return false
	}
	if b, ok := e.(*ast.BinaryExpr); ok {
		r.binary(b)
	}
	return true
}

// literal tells whether e is written out: a number, character, string, true or false, or
// one of them with a sign.
func literal(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return e.Name == "true" || e.Name == "false"
	case *ast.UnaryExpr:
		return literal(e.X)
	}
	return false
}

// prose is text for people, whose wording no test has to hold.
var prose = regexp.MustCompile(`[a-z,:;.] [a-zA-Z]`)

// constant makes a constant another. The helper is instantiated with its type, which an
// untyped constant would lose.
func (r *rewriter) constant(e ast.Expr) {
	tv := r.pkg.info.Types[e]
	name := r.typeName(tv.Type)
	basic, ok := tv.Type.Underlying().(*types.Basic)
	if !ok || name == "" && !r.typed(e) {
		return
	}
	instance := ""
	if name != "" {
		instance = "[" + name + "]"
	}
	switch {
	case basic.Kind() == types.Bool && name == "bool":
		r.call(e, "mutantNot", r.mutant(opNot, e))
	case basic.Info()&types.IsInteger != 0:
		helper := "mutantNext"
		if r.shifts[e] < 0 {
			helper = "mutantPrevious"
		}
		r.call(e, helper+instance, r.mutant(opShift, e))
	case basic.Info()&types.IsString != 0 && !prose.MatchString(tv.Value.ExactString()):
		r.call(e, "mutantText"+instance, r.mutant(opText, e))
	}
}

// typeName is how this file can write a type: a predeclared one, or one of the package
// that is declared outside of functions; else "".
func (r *rewriter) typeName(t types.Type) string {
	switch t := types.Unalias(t).(type) {
	case *types.Basic:
		if t.Info()&types.IsUntyped == 0 {
			return t.Name()
		}
	case *types.Named:
		if t.Obj().Pkg() == r.pkg.types && t.Obj().Parent() == r.pkg.types.Scope() && t.TypeArgs() == nil {
			return t.Obj().Name()
		}
	}
	return ""
}

// typed tells whether e names a constant that was declared with a type.
func (r *rewriter) typed(e ast.Expr) bool {
	var name *ast.Ident
	switch e := e.(type) {
	case *ast.Ident:
		name = e
	case *ast.SelectorExpr:
		name = e.Sel
	default:
		return false
	}
	return !isUntyped(r.pkg.info.Uses[name].Type())
}

var relations = map[token.Token]string{
	token.LSS: "mutantLess", token.LEQ: "mutantLessEqual", token.GTR: "mutantGreater", token.GEQ: "mutantGreaterEqual",
}

func (r *rewriter) binary(b *ast.BinaryExpr) {
	if !r.boolean(b) {
		return
	}
	switch b.Op {
	case token.LAND, token.LOR:
		r.junction(b)
	case token.EQL, token.NEQ:
		r.negate(b)
		// Another text than "" would be the comparison negated once more, or nearly.
		for _, side := range []ast.Expr{b.X, b.Y} {
			r.fixed[side] = r.fixed[side] || types.ExprString(side) == `""`
		}
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		r.negate(b)
		r.relation(b)
	}
}

func (r *rewriter) negate(b *ast.BinaryExpr) {
	if !r.forced[b] {
		r.call(b, "mutantNot", r.mutant(opNot, b))
	}
}

// relation moves the boundary of b by one; where one side is a literal that changes too,
// it goes the other way.
func (r *rewriter) relation(b *ast.BinaryExpr) {
	x, y := r.pkg.info.Types[b.X].Type, r.pkg.info.Types[b.Y].Type
	if !types.Identical(x, y) || isUntyped(x) {
		return
	}
	id := r.mutant(opBoundary, b)
	r.edits.wrap(r.offset(b.Pos()), r.offset(b.End()), fmt.Sprintf("%s(%d, ", relations[b.Op], id), ")")
	r.edits.swap(r.offset(b.OpPos), r.offset(b.OpPos)+len(b.Op.String()), ",")
	// x < 5 and x <= 4 are one.
	up := b.Op == token.LEQ || b.Op == token.GTR
	r.shifts[b.Y], r.shifts[b.X] = direction(up), direction(!up)
}

func direction(up bool) int {
	if up {
		return 1
	}
	return -1
}

func isUntyped(t types.Type) bool {
	basic, ok := t.(*types.Basic)
	return ok && basic.Info()&types.IsUntyped != 0
}

// junction exchanges && and || and drops each operand.
func (r *rewriter) junction(b *ast.BinaryExpr) {
	helper := "mutantAnd"
	if b.Op == token.LOR {
		helper = "mutantOr"
	}
	id := r.mutant(opSwap, b)
	r.edits.wrap(r.offset(b.Pos()), r.offset(b.End()), fmt.Sprintf("%s(%d, ", helper, id), ") })")
	// The parenthesis keeps a line break after the operator from ending the statement.
	r.edits.swap(r.offset(b.OpPos), r.offset(b.OpPos)+len(b.Op.String()), ", func() bool { return (")
	for _, operand := range []ast.Expr{b.X, b.Y} {
		inner, ok := ast.Unparen(operand).(*ast.BinaryExpr)
		if ok && inner.Op == b.Op || !r.boolean(operand) {
			continue
		}
		drop := r.mutant(opDrop, operand)
		if b.Op == token.LAND {
			r.call(operand, "mutantForce", 0, drop)
		} else {
			r.call(operand, "mutantForce", drop, 0)
		}
	}
}

// composite leaves fields of a struct literal at their zero value.
func (r *rewriter) composite(c *ast.CompositeLit) {
	t := r.pkg.info.Types[c].Type
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		r.fixKeys(c, t)
		return
	}
	fields := map[string]types.Type{}
	for f := range s.Fields() {
		fields[f.Name()] = f.Type()
	}
	for _, e := range c.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		name := kv.Key.(*ast.Ident).Name
		tv := r.pkg.info.Types[kv.Value]
		if tv.Value != nil || tv.IsNil() || !types.Identical(tv.Type, fields[name]) {
			continue
		}
		id := r.mutant(opZero, kv)
		r.call(kv.Value, "mutantZero", id)
	}
}

// fixKeys keeps the keys of arrays and slices, which must be constants.
func (r *rewriter) fixKeys(c *ast.CompositeLit, t types.Type) {
	if _, ok := t.Underlying().(*types.Map); ok {
		return
	}
	for _, e := range c.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			r.fixed[kv.Key] = true
		}
	}
}
