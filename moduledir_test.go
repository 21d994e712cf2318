// SPDX-License-Identifier: Apache-2.0

package mcpoauth_test

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"testing"
)

// Caddy's module directory reads source instead of running it, and gives up on a whole
// package where a module is not written in the way it knows. These are its rules:
//
//   - the argument of RegisterModule is T{} or new(T);
//   - CaddyModule returns one composite literal whose ID is a literal;
//   - every type with a CaddyModule method is registered;
//   - packages with modules are found by import from the one that people name.
func TestModulesAreWrittenForCaddysDirectory(t *testing.T) {
	t.Parallel()
	registered, ids := map[string]bool{}, map[string]string{}
	for _, f := range goFiles(t) {
		if !f.production() {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				collectRegistration(t, f, n, registered)
			case *ast.FuncDecl:
				collectModule(t, f, n, ids)
			}
			return true
		})
	}
	for name, id := range ids {
		if !registered[name] {
			t.Errorf("module %s (%s) is not registered", id, name)
		}
	}
	for name := range registered {
		if ids[name] == "" {
			t.Errorf("%s is registered without being a module", name)
		}
	}
	for _, id := range []string{
		"http.handlers.mcp_oauth", "http.mcp_oauth.stores.memory", "http.mcp_oauth.stores.file",
		"http.mcp_oauth.providers.entra", "http.mcp_oauth.providers.oidc",
	} {
		if !slices.Contains(valuesOf(ids), id) {
			t.Errorf("there is no module %s", id)
		}
	}
	checkReachable(t, ids)
}

// collectRegistration notes the type that a call of caddy.RegisterModule registers.
func collectRegistration(t *testing.T, f goFile, call *ast.CallExpr, registered map[string]bool) {
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || fn.Sel.Name != "RegisterModule" {
		return
	}
	var typ ast.Expr
	switch arg := call.Args[0].(type) {
	case *ast.CompositeLit:
		typ = arg.Type
	case *ast.CallExpr:
		if made, ok := arg.Fun.(*ast.Ident); ok && made.Name == "new" {
			typ = arg.Args[0]
		}
	}
	name, ok := typ.(*ast.Ident)
	if !ok {
		t.Errorf("%s: RegisterModule needs T{} or new(T)", fileSet.Position(call.Pos()))
		return
	}
	registered[f.dir+"."+name.Name] = true
}

// collectModule notes the module ID of a type with a CaddyModule method.
func collectModule(t *testing.T, f goFile, fn *ast.FuncDecl, ids map[string]string) {
	if fn.Name.Name != "CaddyModule" || fn.Recv == nil {
		return
	}
	receiver := fn.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	id := ""
	if ret, ok := fn.Body.List[0].(*ast.ReturnStmt); ok && len(fn.Body.List) == 1 {
		if info, ok := ret.Results[0].(*ast.CompositeLit); ok {
			id = literalID(info)
		}
	}
	if id == "" {
		t.Errorf("%s: CaddyModule must return one literal with a literal ID", fileSet.Position(fn.Pos()))
		return
	}
	ids[f.dir+"."+receiver.(*ast.Ident).Name] = id
}

func literalID(info *ast.CompositeLit) string {
	for _, e := range info.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok || kv.Key.(*ast.Ident).Name != "ID" {
			continue
		}
		if lit, ok := kv.Value.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			return lit.Value[1 : len(lit.Value)-1]
		}
	}
	return ""
}

// checkReachable holds that the default build links every module.
func checkReachable(t *testing.T, ids map[string]string) {
	t.Helper()
	var deps []string
	for _, p := range modulePackages(t) {
		if p.short() == "" {
			deps = p.Deps
		}
	}
	for name, id := range ids {
		if optInModule.MatchString(id) {
			continue // nobody links it who did not ask for it
		}
		dir := name[:len(name)-len(path.Ext(name))]
		if dir != "." && !slices.Contains(deps, path.Join(module, dir)) {
			t.Errorf("the root does not import %s with module %s", dir, id)
		}
	}
}

func valuesOf(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// optInModule are the stores that are not in the default build, by module id.
var optInModule = regexp.MustCompile(`stores\.(azure_table|cosmos|postgres|sqlite|sqlserver)$`)
