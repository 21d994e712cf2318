// SPDX-License-Identifier: Apache-2.0

package mcpoauth_test

import (
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// What README.md shows first is what the quickstart and CI run, byte for byte.
func TestReadmeShowsWhatRuns(t *testing.T) {
	t.Parallel()
	readme := readFile(t, "README.md")
	blocks := fenced(readme, "caddyfile")
	if len(blocks) == 0 || blocks[0] != readFile(t, "examples/quickstart/Caddyfile") {
		t.Error("the first Caddyfile of README.md is not examples/quickstart/Caddyfile")
	}
	commands := fenced(readme, "sh")
	if len(commands) < 2 || commands[0] != "go run ./examples/quickstart\n" || commands[1] != "go test ./...\n" {
		t.Errorf("the first two commands of README.md are %q", commands[:min(2, len(commands))])
	}
}

// What README.md shows can be pasted as it stands: caddy fmt would change nothing.
func TestReadmeCaddyfilesAreFormatted(t *testing.T) {
	t.Parallel()
	for _, block := range fenced(readFile(t, "README.md"), "caddyfile") {
		if got := string(caddyfile.Format([]byte(block))); got != block {
			t.Errorf("caddy fmt makes of it:\n%s", got)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fenced returns the code blocks of a Markdown text in one language.
func fenced(markdown, language string) []string {
	var blocks []string
	for _, part := range strings.Split(markdown, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		blocks = append(blocks, block+"\n")
	}
	return blocks
}
