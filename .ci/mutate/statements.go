// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// statements lets single statements of a block be left out.
func (r *rewriter) statements(list []ast.Stmt) {
	for _, s := range list {
		if !r.removable(s) {
			continue
		}
		id := r.mutant(opStatement, s)
		r.edits.wrap(r.offset(s.Pos()), r.offset(s.End()), fmt.Sprintf("if !mutantOn(%d) { ", id), " }")
	}
}

// removable tells whether a function compiles without s: definitions are needed, and so
// is what ends a function that has results.
func (r *rewriter) removable(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		return !ok || r.builtin(call) != "panic"
	case *ast.AssignStmt:
		blank := func(e ast.Expr) bool { name, ok := e.(*ast.Ident); return ok && name.Name == "_" }
		return s.Tok != token.DEFINE && !slices.ContainsFunc(s.Lhs, blank)
	case *ast.IncDecStmt, *ast.DeferStmt, *ast.GoStmt, *ast.SendStmt:
		return true
	case *ast.BranchStmt:
		return s.Tok == token.BREAK || s.Tok == token.CONTINUE
	}
	return false
}

// builtin returns the name of the builtin that a call is of, or "".
func (r *rewriter) builtin(call *ast.CallExpr) string {
	if name, ok := call.Fun.(*ast.Ident); ok {
		if b, ok := r.pkg.info.Uses[name].(*types.Builtin); ok {
			return b.Name()
		}
	}
	return ""
}

// condition makes an expression false and, where always is set, true.
func (r *rewriter) condition(e ast.Expr, always bool) {
	if e == nil || !r.boolean(e) {
		return
	}
	r.forced[ast.Unparen(e)] = always
	never, forever := r.mutant(opFalse, e), 0
	if always {
		forever = r.mutant(opTrue, e)
	}
	r.call(e, "mutantForce", never, forever)
}

// cases handles the conditions of a switch without tag; with one, each value of a case
// becomes another.
func (r *rewriter) cases(s *ast.SwitchStmt) {
	for _, clause := range s.Body.List {
		for _, e := range clause.(*ast.CaseClause).List {
			if s.Tag == nil {
				r.condition(e, true)
			} else {
				r.caseValue(e)
			}
		}
	}
}

// caseValue changes constants that have a name; expression sees the literals.
func (r *rewriter) caseValue(e ast.Expr) {
	if tv := r.pkg.info.Types[e]; tv.Value == nil || literal(e) {
		return
	}
	r.constant(e)
}

// results makes boolean results false and true, and errors nil. Nobody looks at constants
// that are returned beside an error or false.
func (r *rewriter) results(s *ast.ReturnStmt) {
	if len(s.Results) > 1 && r.isNo(s) {
		for _, e := range s.Results[:len(s.Results)-1] {
			r.fixed[e] = true
		}
	}
	for _, e := range s.Results {
		tv := r.pkg.info.Types[e]
		if tv.IsNil() || tv.Value != nil {
			continue
		}
		if r.boolean(e) {
			r.condition(e, true)
			continue
		}
		if r.isErrorResult(s, e) {
			r.call(e, "mutantNoError", r.mutant(opNoError, e))
		}
	}
}

// isNo tells whether the last result is an error or false.
func (r *rewriter) isNo(s *ast.ReturnStmt) bool {
	last := s.Results[len(s.Results)-1]
	return types.ExprString(last) == "false" || !r.pkg.info.Types[last].IsNil() && r.isErrorResult(s, last)
}

// isErrorResult tells whether e is returned where the function has a result of type error.
func (r *rewriter) isErrorResult(s *ast.ReturnStmt, e ast.Expr) bool {
	sig := r.signature(s)
	at := slices.Index(s.Results, e)
	if sig == nil || sig.Results().Len() != len(s.Results) {
		return false
	}
	return types.Identical(sig.Results().At(at).Type(), types.Universe.Lookup("error").Type())
}

// signature is that of the innermost function around n.
func (r *rewriter) signature(n ast.Node) (sig *types.Signature) {
	ast.Inspect(r.src.ast, func(f ast.Node) bool {
		if f == nil || f.Pos() > n.Pos() || f.End() < n.End() {
			return false
		}
		switch f := f.(type) {
		case *ast.FuncDecl:
			sig, _ = r.pkg.info.Defs[f.Name].Type().(*types.Signature)
		case *ast.FuncLit:
			sig, _ = r.pkg.info.Types[f].Type.(*types.Signature)
		}
		return true
	})
	return sig
}

// refuses tells whether a block ends by saying no: with an error, or with a decision that
// is neither the next handler's nor the guard's.
func (r *rewriter) refuses(b *ast.BlockStmt) bool {
	if len(b.List) == 0 {
		return false
	}
	ret, ok := b.List[len(b.List)-1].(*ast.ReturnStmt)
	if !ok || len(ret.Results) == 0 {
		return false
	}
	last := ret.Results[len(ret.Results)-1]
	if tv := r.pkg.info.Types[last]; tv.IsNil() || tv.Value != nil {
		return false
	}
	if decision, ok := last.(*ast.CompositeLit); ok {
		return slices.ContainsFunc(decision.Elts, func(e ast.Expr) bool {
			kv, ok := e.(*ast.KeyValueExpr)
			if !ok || types.ExprString(kv.Key) != "Kind" {
				return false
			}
			kind := types.ExprString(kv.Value)
			return kind == "BadPath" || kind == "Misdirected" || kind == "NotFound"
		})
	}
	return r.isErrorResult(ret, last)
}
