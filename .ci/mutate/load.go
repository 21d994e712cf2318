// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// source is a Go file of a package.
type source struct {
	name string // without directory
	text string
	ast  *ast.File
}

// pkg is a type-checked package.
type pkg struct {
	dir   string // below the module, "." for the root
	path  string // on disk
	name  string
	fset  *token.FileSet
	files []source
	info  *types.Info
	types *types.Package
}

type listed struct {
	ImportPath, Dir, Name, Export string
	GoFiles                       []string
}

// load type-checks packages of the module, given as directories below it. What they
// import is read from export data, so everything has to compile.
func load(module string, dirs []string) ([]*pkg, error) {
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Dir,Name,Export,GoFiles"}
	for _, d := range dirs {
		args = append(args, "./"+d)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = module
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	all, exports := map[string]listed{}, map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		all[l.Dir], exports[l.ImportPath] = l, l.Export
	}
	var pkgs []*pkg
	for _, dir := range dirs {
		l, ok := all[filepath.Join(module, dir)]
		if !ok {
			return nil, fmt.Errorf("there is no package in %s", dir)
		}
		p, err := check(dir, l, exports)
		if err != nil {
			return nil, err
		}
		pkgs = append(pkgs, p)
	}
	return pkgs, nil
}

func check(dir string, l listed, exports map[string]string) (*pkg, error) {
	p := &pkg{dir: dir, path: l.Dir, name: l.Name, fset: token.NewFileSet()}
	var files []*ast.File
	for _, name := range l.GoFiles {
		text, err := os.ReadFile(filepath.Join(l.Dir, name))
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(p.fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		p.files = append(p.files, source{name: name, text: string(text), ast: f})
	}
	p.info = &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	config := types.Config{Importer: importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	var err error
	p.types, err = config.Check(l.ImportPath, p.fset, files, p.info)
	return p, err
}
