// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Longest texts shown, in runes.
const (
	nameRunes = 80
	textRunes = 400
	uriRunes  = 400
)

// maxMarks is how many combining marks may follow each other; living scripts need no more,
// and towers of marks can cover the lines around them.
const maxMarks = 2

// clean makes foreign text fit to be shown on one line of at most limit runes: no control,
// bidirectional, zero-width or otherwise invisible character, no run of white space, no
// tower of combining marks, no invalid UTF-8. What is cut off ends in an ellipsis.
func clean(s string, limit int) string {
	var b strings.Builder
	runes, marks, space := 0, 0, false
	for _, r := range strings.ToValidUTF8(s, "") {
		if unicode.IsSpace(r) {
			space = b.Len() > 0
			continue
		}
		if invisible(r) {
			continue
		}
		if marks = nextMarks(marks, r); marks > maxMarks {
			continue
		}
		if space {
			b.WriteByte(' ')
			runes, space = runes+1, false
		}
		if runes++; runes > limit {
			return cut(b.String(), limit-1) + "…"
		}
		b.WriteRune(r)
	}
	return b.String()
}

func nextMarks(n int, r rune) int {
	if unicode.Is(unicode.M, r) {
		return n + 1
	}
	return 0
}

// cut keeps the first n runes, without white space at the end.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return strings.TrimRight(s[:i], " ")
		}
		n--
	}
	return strings.TrimRight(s, " ")
}

// invisible tells whether r changes how other text looks, or looks like nothing: category
// C (controls; formats with all bidirectional and zero-width ones; private use) and the
// fillers, selectors and blanks of other categories.
func invisible(r rune) bool {
	return unicode.Is(unicode.C, r) ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) ||
		unicode.Is(unicode.Variation_Selector, r) ||
		r == '\u2800' || r == utf8.RuneError
}

// checkShown refuses configured text that clean would change, so that an administrator
// hears of it instead of finding it missing.
func checkShown(word, s string, limit int) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s must be valid UTF-8", word)
	}
	if n := utf8.RuneCountInString(s); n > limit {
		return fmt.Errorf("%s has %d characters; at most %d can be shown", word, n, limit)
	}
	for _, r := range s {
		if invisible(r) {
			return fmt.Errorf("%s contains the invisible character %U; remove it", word, r)
		}
	}
	return nil
}
