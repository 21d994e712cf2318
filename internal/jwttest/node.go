// SPDX-License-Identifier: Apache-2.0

package jwttest

import (
	"os"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// judge asks the sample verifier about each token of its input.
const judge = `
import { readFileSync } from 'node:fs'
import { verifier } from './verify.mjs'

const { issuer, audience, tokens } = JSON.parse(readFileSync(0, 'utf8'))
const verify = verifier(issuer, audience)
const verdicts = []
for (const token of tokens) {
  verdicts.push(await verify(token).then((c) => ({ name: c.name, roles: c.roles }), (e) => ({ code: e.code ?? String(e) })))
}
console.log(JSON.stringify(verdicts))
`

// Verdict is what a verifier says of a token.
type Verdict struct {
	// Code says why the token was refused; "" for one that was accepted.
	Code  string
	Name  string
	Roles []string
}

// NodeVerdicts tells of each token whether the JavaScript sample in the file accepts it, run
// by a real Node.js with the real library. The test is skipped where they are missing.
func NodeVerdicts(t *testing.T, file, issuer, audience string, tokens []string) []bool {
	t.Helper()
	verdicts := NodeClaims(t, file, issuer, audience, tokens)
	accepted := make([]bool, len(tokens))
	for i, v := range verdicts {
		t.Logf("token %d: %s", i, v.Code)
		accepted[i] = v.Code == ""
	}
	return accepted
}

// NodeClaims is NodeVerdicts with what the sample has read.
func NodeClaims(t *testing.T, file, issuer, audience string, tokens []string) []Verdict {
	t.Helper()
	sample, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []Verdict
	mcptest.RunNode(t, map[string]string{"verify.mjs": string(sample), "judge.mjs": judge}, "judge.mjs",
		map[string]any{"issuer": issuer, "audience": audience, "tokens": tokens}, &verdicts)
	if len(verdicts) != len(tokens) {
		t.Fatalf("%d verdicts on %d tokens", len(verdicts), len(tokens))
	}
	return verdicts
}
