// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const text = "mcpo_rt_hidden-words"

// Where a secret may end up by accident: itself, in fields of both kinds, behind a
// pointer, in a slice, a map and an interface.
func places() []any {
	type hidden struct{ s String }
	type shown struct{ S String }
	s := New(text)
	return []any{s, &s, hidden{s}, &hidden{s}, shown{s}, &shown{s}, []String{s}, map[string]hidden{"k": {s}}, []any{s, hidden{s}}}
}

func TestSec_O04_SecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	for i, v := range places() {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T"} {
			if out := fmt.Sprintf(verb, v); leaks(out) {
				t.Errorf("place %d: %s printed %s", i, verb, out)
			}
		}
		if out, err := json.Marshal(v); err == nil && leaks(string(out)) {
			t.Errorf("place %d: JSON %s", i, out)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		if leaks(log.String()) {
			t.Errorf("place %d: log %s", i, log.String())
		}
	}
}

func leaks(out string) bool {
	return strings.Contains(out, "words") || strings.Contains(strings.ToLower(out), fmt.Sprintf("%x", "words"))
}

func TestString(t *testing.T) {
	t.Parallel()
	s := New(text)
	if s.Reveal() != text || s.IsZero() || !s.Equal(New(text)) || s.Equal(New(text+"x")) || s.Equal(String{}) {
		t.Error("a secret is its text")
	}
	var zero String
	if zero.Reveal() != "" || !zero.IsZero() || !zero.Equal(New("")) {
		t.Error("the zero value is the empty secret")
	}
}
