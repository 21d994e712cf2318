// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
)

// words are the words of one block, by name. The parser knows no other: a word that is
// missing here is an error, never ignored, since a mistyped rule would open what it was
// meant to close.
type words[T any] map[string]word[T]

// word is one word of a block that fills a T.
type word[T any] struct {
	// usage shows how to write the word; errors quote it.
	usage string
	// repeats tells whether the word may come again in the same block.
	repeats bool
	// parse reads the word, which is the current token, with everything that belongs to
	// it.
	parse func(d *caddyfile.Dispenser, into *T) error
}

// block reads the block that opens after the current token. place is the name of the
// block in errors.
func (ws words[T]) block(d *caddyfile.Dispenser, place string, into *T) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		w, known := ws[name]
		if !known {
			return d.Errf("unrecognized subdirective %q in %s: the words here are %s", name, place, joined(slices.Sorted(maps.Keys(ws))))
		}
		if seen[name] && !w.repeats {
			return d.Errf("%s is written twice in %s: keep one line", name, place)
		}
		seen[name] = true
		if err := w.parse(d, into); err != nil {
			return err
		}
	}
	return nil
}

// scalar is a word with one value and no block.
func scalar[T any, S ~string](usage string, check func(string) error, field func(*T) *S) word[T] {
	return word[T]{usage: usage, parse: func(d *caddyfile.Dispenser, into *T) error {
		v, err := one(d, usage, check)
		if err != nil {
			return err
		}
		*field(into) = S(v)
		return noBlock(d, usage)
	}}
}

// several is a word with a list of values on one line. Writing it again appends.
func several[T any](usage string, check func(string) error, field func(*T) *[]string) word[T] {
	return word[T]{usage: usage, repeats: true, parse: func(d *caddyfile.Dispenser, into *T) error {
		vs, err := many(d, usage, check)
		if err != nil {
			return err
		}
		*field(into) = append(*field(into), vs...)
		return noBlock(d, usage)
	}}
}

// each is a word with one value that may be written again for one more.
func each[T any](usage string, check func(string) error, field func(*T) *[]string) word[T] {
	return word[T]{usage: usage, repeats: true, parse: func(d *caddyfile.Dispenser, into *T) error {
		v, err := one(d, usage, check)
		if err != nil {
			return err
		}
		*field(into) = append(*field(into), v)
		return noBlock(d, usage)
	}}
}

// one reads exactly one value.
func one(d *caddyfile.Dispenser, usage string, check func(string) error) (string, error) {
	vs, err := many(d, usage, check)
	if err == nil && len(vs) > 1 {
		return "", d.Errf("%s has %d values and takes one: write %s", wordOf(usage), len(vs), usage)
	}
	if err != nil {
		return "", err
	}
	return vs[0], nil
}

// many reads the values of a line, at least one.
func many(d *caddyfile.Dispenser, usage string, check func(string) error) ([]string, error) {
	var vs []string
	for d.NextArg() {
		if err := surface.CheckUnresolved(d.Val(), check); err != nil {
			return nil, d.WrapErr(fmt.Errorf("%s: %w", wordOf(usage), err))
		}
		vs = append(vs, d.Val())
	}
	if len(vs) == 0 {
		return nil, d.Errf("%s has no value: write %s", wordOf(usage), usage)
	}
	return vs, nil
}

// noBlock refuses a block after a word that takes none.
func noBlock(d *caddyfile.Dispenser, usage string) error {
	if surface.OpensBlock(d) {
		return d.Errf("%s takes no block: write %s", wordOf(usage), usage)
	}
	return nil
}

// needBlock refuses a word that says nothing without a block. It is called before the
// block is read.
func needBlock(d *caddyfile.Dispenser, usage string) error {
	if d.NextArg() {
		return d.Errf("unexpected %q after %s: write %s", d.Val(), wordOf(usage), usage)
	}
	if !surface.OpensBlock(d) {
		return d.Errf("%s has no block: write %s", wordOf(usage), usage)
	}
	return nil
}

// wordOf is the word that a usage begins with.
func wordOf(usage string) string {
	word, _, _ := strings.Cut(usage, " ")
	return word
}

// joined joins names for a sentence.
func joined(names []string) string { return strings.Join(names, ", ") }
