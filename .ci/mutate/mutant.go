// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// The operators.
const (
	opFalse     = "false"     // a condition or result never holds
	opTrue      = "true"      // a condition or result always holds
	opDrop      = "drop"      // an operand of && or || does not count
	opSwap      = "swap"      // && for || and the reverse
	opNot       = "not"       // a comparison is negated, a boolean literal flipped
	opBoundary  = "boundary"  // < for <=, > for >= and the reverse
	opShift     = "shift"     // an integer or character is one more or one less
	opText      = "text"      // a string is another
	opZero      = "zero"      // a field of a struct literal keeps its zero value
	opNoError   = "no error"  // nil is returned instead of an error
	opStatement = "statement" // a statement is left out
)

// mutant is one change to one place.
type mutant struct {
	id    int
	group string
	dir   string // of the package, below the module
	file  string // below the module
	// within is the function, as (*T).name, or the variable that the place is in.
	within string
	op     string
	text   string // the source that the operator changes, on one line
	// ordinal tells places apart that are alike in everything else, from 1.
	ordinal int
	// refuses tells that the place is the condition of a check: it leads to a refusal, and
	// the mutant never does.
	refuses bool
}

// maxText is how much of a long piece of source an identity shows.
const maxText = 90

// identity says which mutant it is in a way that outlives changes elsewhere in the file.
func (m *mutant) identity() string {
	s := fmt.Sprintf("%s: %s: %s: %s", m.file, m.within, m.op, m.text)
	if m.ordinal > 1 {
		s += fmt.Sprintf(" #%d", m.ordinal)
	}
	return s
}

// oneLine is source on one line, cut where it is long.
func oneLine(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return string(runes)
}
