// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Word is one word of a guest's block: how it is written, checked and kept.
type Word struct {
	// Usage is how to write the word; it begins with its name.
	Usage string
	// Required tells whether the guest cannot work without it.
	Required bool
	// Bare is what the word says without a value; "" means that it needs one.
	Bare string
	// Check tells what is wrong with one value.
	Check func(string) error
	// Value keeps a word with one value, Values one with a list, which appends when it is
	// written again; both as written, with placeholders.
	Value  *string
	Values *[]string
	// Joined is how many values Value keeps at most, with a space between them; 0 is one.
	Joined int
	// Count is how many values a word with a list takes, which then is written once; 0 is
	// any number.
	Count int
	// Flag keeps a word that is written without a value.
	Flag *bool
	// Parse reads what follows the name of the word by itself, in place of all of these.
	Parse func(*caddyfile.Dispenser) error
	// Words are those of a nested block, in place of values.
	Words []Word
	// Resolved takes the values without placeholders; it is not called without a value.
	Resolved func([]string)
}

// Name is the word itself; that of an argument such as [<url>] is what is in the brackets.
func (w Word) Name() string { return strings.Trim(strings.Fields(w.Usage)[0], "[]<>") }

func (w Word) values() []string {
	switch {
	case w.Values != nil:
		return *w.Values
	case w.Value != nil && *w.Value != "":
		return []string{*w.Value}
	default:
		return nil
	}
}

// missing is the error for a required word that was not written.
func (w Word) missing(place string) error {
	if !w.Required || len(w.values()) > 0 {
		return nil
	}
	return fmt.Errorf("%s has no %s: write %s", place, w.Name(), w.Usage)
}

// Resolve replaces placeholders, checks every value and hands it on.
func Resolve(place string, words []Word) error {
	repl := caddy.NewReplacer()
	for _, w := range words {
		if err := cmp.Or(w.missing(place), Resolve(place+": "+w.Name(), w.Words)); err != nil {
			return err
		}
		var resolved []string
		for _, v := range w.values() {
			out, err := resolve(repl, v, w.Check)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", place, w.Name(), err)
			}
			resolved = append(resolved, out)
		}
		if len(resolved) > 0 {
			w.Resolved(resolved)
		}
	}
	return nil
}

func resolve(repl *caddy.Replacer, v string, check func(string) error) (string, error) {
	v, err := Expand(repl, v)
	if err != nil {
		return "", err
	}
	return v, check(v)
}

// UnmarshalValue is Unmarshal for a guest with a value after its name. value is written
// like a word without a name: its Usage is the value's, such as "<dsn>".
func UnmarshalValue(d *caddyfile.Dispenser, place string, value Word, words []Word) error {
	usage := place + " " + value.Usage + " { ... }"
	d.Next() // the guest's name
	args := d.RemainingArgs()
	switch {
	case len(args) > 1:
		return d.Errf("unexpected %q: write %s", args[1], usage)
	case len(args) == 0 && value.Required:
		return d.Errf("%s has no %s: write %s", place, value.Usage, usage)
	case len(args) == 1:
		if err := CheckUnresolved(args[0], value.Check); err != nil {
			return d.WrapErr(fmt.Errorf("%s: %w", place, err))
		}
		*value.Value = args[0]
	}
	return block(d, place, words)
}

// Unmarshal reads the block of a guest, whose name is the next token.
func Unmarshal(d *caddyfile.Dispenser, place string, words []Word) error {
	d.Next() // the guest's name
	if d.NextArg() {
		return d.Errf("unexpected %q: write %s { ... }", d.Val(), place)
	}
	if err := block(d, place, words); err != nil {
		return err
	}
	for _, w := range words {
		if err := w.missing(place); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

func block(d *caddyfile.Dispenser, place string, words []Word) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		i := slices.IndexFunc(words, func(w Word) bool { return w.Name() == name })
		if i < 0 {
			return d.Errf("unrecognized subdirective %q in %s: the words here are %s", name, place, strings.Join(names(words), ", "))
		}
		if seen[name] && (words[i].Values == nil || words[i].Count > 0) {
			return d.Errf("%s is written twice in %s: keep one line", name, place)
		}
		seen[name] = true
		if err := words[i].parse(d, place); err != nil {
			return err
		}
	}
	return nil
}

// names are the words by name, sorted, as a person looks for one.
func names(words []Word) []string {
	var out []string
	for _, w := range words {
		out = append(out, w.Name())
	}
	slices.Sort(out)
	return out
}

// parse reads what follows the name of the word.
func (w Word) parse(d *caddyfile.Dispenser, place string) error {
	if w.Parse != nil {
		return w.Parse(d)
	}
	args := d.RemainingArgs()
	opens := OpensBlock(d)
	if len(args) == 0 && !opens && w.Bare != "" {
		args = []string{w.Bare}
	}
	if 1 < len(args) && len(args) <= w.Joined {
		args = []string{strings.Join(args, " ")}
	}
	switch {
	case w.Flag != nil && (len(args) > 0 || opens):
		return d.Errf("%s takes no value: write %s", w.Name(), w.Usage)
	case w.Flag != nil:
		*w.Flag = true
		return nil
	case w.Words != nil && (len(args) > 0 || !opens), w.Words == nil && opens:
		return d.Errf("%s is not written like this: write %s", w.Name(), w.Usage)
	case w.Words != nil:
		return block(d, place+": "+w.Name(), w.Words)
	case len(args) == 0:
		return d.Errf("%s has no value: write %s", w.Name(), w.Usage)
	case w.Count > 0 && len(args) != w.Count:
		return d.Errf("%s has %d values and takes %d: write %s", w.Name(), len(args), w.Count, w.Usage)
	case w.Value != nil && len(args) > 1 && w.Joined > 0:
		return d.Errf("%s has %d values and takes at most %d: write %s", w.Name(), len(args), w.Joined, w.Usage)
	case w.Value != nil && len(args) > 1:
		return d.Errf("%s has %d values and takes one: write %s", w.Name(), len(args), w.Usage)
	}
	for _, v := range args {
		if err := CheckUnresolved(v, w.Check); err != nil {
			return d.WrapErr(fmt.Errorf("%s: %w", w.Name(), err))
		}
	}
	if w.Values != nil {
		*w.Values = append(*w.Values, args...)
		return nil
	}
	*w.Value = args[0]
	return nil
}

// OpensBlock tells whether a block follows on the same line, and reads nothing of it.
func OpensBlock(d *caddyfile.Dispenser) bool {
	line := d.Line()
	if !d.Next() {
		return false
	}
	defer d.Prev()
	return d.Val() == "{" && d.Line() == line
}
