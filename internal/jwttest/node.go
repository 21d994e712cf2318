// SPDX-License-Identifier: Apache-2.0

package jwttest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// judge asks the sample verifier about each line of its input.
const judge = `
import { readFileSync } from 'node:fs'
import { verifier } from './verify.mjs'

const verify = verifier(process.argv[2], process.argv[3])
const verdicts = []
for (const token of JSON.parse(readFileSync(0, 'utf8'))) {
  verdicts.push(await verify(token).then(() => '', (e) => e.code ?? String(e)))
}
console.log(JSON.stringify(verdicts))
`

// NodeVerdicts tells of each token whether the JavaScript sample in the file accepts it, run
// by a real Node.js with the real library. The test is skipped where they are missing.
func NodeVerdicts(t *testing.T, file, issuer, audience string, tokens []string) []bool {
	t.Helper()
	node, modules := mcptest.Node(t)
	sample, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"verify.mjs": string(sample), "judge.mjs": judge} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A module is looked for beside the file that imports it.
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(tokens)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "judge.mjs", issuer, audience)
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, strings.NewReader(string(input)), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var verdicts []string
	if err := json.Unmarshal(out, &verdicts); err != nil || len(verdicts) != len(tokens) {
		t.Fatalf("%s: %v", out, err)
	}
	accepted := make([]bool, len(tokens))
	for i, v := range verdicts {
		t.Logf("token %d: %s", i, v)
		accepted[i] = v == ""
	}
	return accepted
}
