// SPDX-License-Identifier: Apache-2.0

// Package surface is what the handler and its guest modules have in common where they
// read configuration: which placeholders a value may hold, and the words of a block. With
// the root and the module.go of a guest it is the only code that knows Caddy.
package surface

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// ErrBrace refuses every brace that is not part of a known placeholder. Others that Caddy
// knows depend on the request, and nothing that this handler says about itself may.
var ErrBrace = errors.New("the only placeholders here are {env.NAME} and {file.PATH}, and no other brace may be in a value: " +
	"write the value itself, or put it into an environment variable or a file")

// HasPlaceholder tells whether v contains {env.NAME} or {file.PATH}; ErrBrace for any
// other brace, an escaped one included.
func HasPlaceholder(v string) (bool, error) {
	found := false
	for rest := v; ; found = true {
		before, after, open := strings.Cut(rest, "{")
		if strings.Contains(before, "}") || open && strings.HasSuffix(before, `\`) {
			return false, ErrBrace
		}
		if !open {
			return found, nil
		}
		key, tail, closed := strings.Cut(after, "}")
		kind, name, _ := strings.Cut(key, ".")
		if !closed || kind != "env" && kind != "file" || name == "" || strings.ContainsRune(key, '{') || strings.HasSuffix(key, `\`) {
			return false, ErrBrace
		}
		rest = tail
	}
}

// CheckUnresolved checks a value that may still contain placeholders: what they stand
// for is only known where the configuration runs, so it is checked there.
func CheckUnresolved(v string, check func(string) error) error {
	has, err := HasPlaceholder(v)
	if err != nil || has {
		return err
	}
	return check(v)
}

// Expand replaces the placeholders of v. A variable that is not set and a file that
// cannot be read are errors, since an empty secret or an empty rule would be worse.
func Expand(repl *caddy.Replacer, v string) (string, error) {
	has, err := HasPlaceholder(v)
	if err != nil || !has {
		return v, err
	}
	out, err := repl.ReplaceOrErr(v, true, true)
	if err != nil {
		return "", fmt.Errorf("%w: set the environment variable, or write the file, before Caddy starts", err)
	}
	return out, nil
}
