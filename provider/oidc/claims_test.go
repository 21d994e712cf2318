// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

func claims(t *testing.T, text string) Claims {
	t.Helper()
	var c Claims
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClaims(t *testing.T) {
	t.Parallel()
	c := claims(t, `{"s":"text","n":7,"nul":null,"list":["a","b"],"mixed":["a",7],"o":{"p":{"q":"deep"}},"o.x":"flat","Sub":"wrong case","yes":true,"one":1}`)
	for name, want := range map[string]string{
		"s": "text", "n": "", "nul": "", "list": "", "absent": "", "o.p.q": "deep", "o.p": "", "o.p.q.r": "", "o.x": "flat", "sub": "", "": "", ".": "",
	} {
		if got := c.String(name); got != want {
			t.Errorf("String(%q) is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string][]string{"list": {"a", "b"}, "s": {"text"}, "mixed": nil, "n": nil, "absent": nil, "nul": nil, "o": nil} {
		if got := c.Strings(name); !slices.Equal(got, want) {
			t.Errorf("Strings(%q) is %v, want %v", name, got, want)
		}
	}
	if !c.True("yes") || c.True("one") || c.True("absent") || c.True("s") {
		t.Error("True takes something else for true")
	}
	if !c.Has("nul") || c.Has("absent") {
		t.Error("Has is wrong")
	}
}

func TestClaimsTime(t *testing.T) {
	t.Parallel()
	c := claims(t, `{"ok":1763899200,"half":1763899200.5,"nul":null,"text":"1763899200","neg":-1,"zero":0,"huge":1e300,"list":[1]}`)
	for _, name := range []string{"ok", "half"} {
		if got, err := c.Time(name); err != nil || !got.Equal(time.Unix(1763899200, 0)) {
			t.Errorf("%s is %v, %v", name, got, err)
		}
	}
	if got, err := c.Time("absent"); err != nil || !got.IsZero() {
		t.Errorf("absent is %v, %v", got, err)
	}
	for _, name := range []string{"nul", "text", "neg", "zero", "huge", "list"} {
		if got, err := c.Time(name); err == nil {
			t.Errorf("%s is %v, want an error", name, got)
		}
	}
}

func FuzzClaims(f *testing.F) {
	f.Add(`{"a":{"b":["c"]},"exp":1e9}`, "a.b")
	f.Fuzz(func(_ *testing.T, text, name string) {
		var c Claims
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		_, _, _ = c.String(name), c.Strings(name), c.True(name)
		_, _ = c.Time(name)
	})
}
