// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"strings"
	"testing"
)

// What an administrator types may look like an id and be none: a sub is often the hex of a
// hash.
func TestFindTakesAnything(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.signIn(t)
	for _, what := range []string{
		"", " ", "0", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("a", 64), strings.Repeat("G", 32),
		"\x00", "\xff\xfe", "é", strings.Repeat("x", 1<<16),
	} {
		if found, err := n.Find(t.Context(), what); err != nil || len(found) != 0 {
			t.Errorf("%.40q: %d found, %v", what, len(found), err)
		}
	}
}

// Nobody is called by a name that is longer than the index takes.
func TestSelectionIsBounded(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	long := strings.Repeat("x", 1<<16)
	for _, sel := range []Selection{{Person: long}, {Client: long}, {Resource: "https://mcp.example.com/" + long}} {
		if _, err := n.RevokeAll(t.Context(), sel); !errors.Is(err, errLongName) {
			t.Errorf("%+.40v: %v", sel, err)
		}
	}
}
