// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// helpers is the file that each changed package gets.
//
//go:embed helpers.go.txt
var helpers string

// changed is the module with all mutants in it, none of them active.
type changed struct {
	module string
	// tmp holds everything that is written: the tree stays as it is.
	tmp     string
	mutants []*mutant
	// overlay tells the go command to read files of tmp in place of those of the tree.
	overlay map[string]string
}

// change rewrites the packages.
func change(module, tmp string, pkgs []*pkg, choose func(dir, file, within string) (group string, ok bool)) (*changed, error) {
	c := &changed{module: module, tmp: tmp, overlay: map[string]string{}}
	alike := map[string]int{}
	for _, p := range pkgs {
		for i := range p.files {
			s := &p.files[i]
			text := rewrite(p, s, func(within string) (string, bool) { return choose(p.dir, s.name, within) }, func(m mutant) int {
				m.id = len(c.mutants) + 1
				alike[m.identity()]++
				m.ordinal = alike[m.identity()]
				c.mutants = append(c.mutants, &m)
				return m.id
			})
			if text == s.text {
				continue
			}
			if err := c.replace(filepath.Join(p.path, s.name), text); err != nil {
				return nil, err
			}
		}
		if err := c.replace(filepath.Join(p.path, "zz_mutants.go"), strings.Replace(helpers, "PACKAGE", p.name, 1)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *changed) replace(path, text string) error {
	file := filepath.Join(c.tmp, fmt.Sprintf("%d.go", len(c.overlay)))
	c.overlay[path] = file
	return os.WriteFile(file, []byte(text), 0o600)
}

// build compiles the tests of a package and returns the program.
func (c *changed) build(dir string) (string, error) {
	list, err := json.Marshal(map[string]any{"Replace": c.overlay})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(c.tmp, "overlay.json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return "", err
	}
	program := filepath.Join(c.tmp, strings.ReplaceAll(dir, "/", "_")+".test")
	cmd := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", program, "./"+dir)
	cmd.Dir = c.module
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build of the tests in %s: %w\n%s", dir, err, out)
	}
	return program, nil
}
