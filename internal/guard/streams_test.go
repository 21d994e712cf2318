// SPDX-License-Identifier: Apache-2.0

package guard

import "testing"

func TestStreamsByGrant(t *testing.T) {
	t.Parallel()
	var s Streams
	var ended []string
	open := func(grant byte, name string) func() {
		return s.Open([16]byte{grant}, func() { ended = append(ended, name) })
	}
	doneA := open(1, "a")
	open(1, "b")
	open(2, "c")
	if s.Count([16]byte{1}) != 2 || s.Count([16]byte{2}) != 1 || s.Count([16]byte{3}) != 0 || len(s.Grants()) != 2 {
		t.Error("counts", s.Grants())
	}
	doneA()
	doneA()
	s.End([16]byte{1})
	if len(ended) != 1 || ended[0] != "b" {
		t.Errorf("ended %q", ended)
	}
	s.EndAll()
	if len(ended) != 3 {
		t.Errorf("ended %q", ended)
	}
	open(4, "late")()
	if len(ended) != 4 || s.Count([16]byte{4}) != 0 {
		t.Errorf("ended %q", ended)
	}
}
