// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"slices"
	"strings"
)

// wrap puts text around a piece of source. Of wraps around the same piece the one that
// was added first is the outer one.
type wrap struct {
	start, end    int
	before, after string
}

// swap replaces a piece of source in which no wrap begins or ends.
type swap struct {
	start, end int
	text       string
}

// edits are the changes to one file, by byte offset.
type edits struct {
	wraps []wrap
	swaps []swap
}

func (e *edits) wrap(start, end int, before, after string) {
	e.wraps = append(e.wraps, wrap{start, end, before, after})
}

func (e *edits) swap(start, end int, text string) {
	e.swaps = append(e.swaps, swap{start, end, text})
}

// At one offset wraps end, the inner ones first; then others begin, the outer ones first;
// then a swap begins.
const (
	ending = iota
	beginning
	swapping
)

type event struct {
	at, kind, order int
	text            string
	skip            int
}

// apply returns the changed source.
func (e *edits) apply(src string) string {
	var events []event
	for i, w := range e.wraps {
		events = append(events, event{at: w.end, kind: ending, order: -i, text: w.after},
			event{at: w.start, kind: beginning, order: i, text: w.before})
	}
	for _, s := range e.swaps {
		events = append(events, event{at: s.start, kind: swapping, text: s.text, skip: s.end - s.start})
	}
	slices.SortFunc(events, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.kind, b.kind), cmp.Compare(a.order, b.order))
	})
	var out strings.Builder
	from := 0
	for _, ev := range events {
		out.WriteString(src[from:ev.at])
		out.WriteString(ev.text)
		from = ev.at + ev.skip
	}
	out.WriteString(src[from:])
	return out.String()
}
