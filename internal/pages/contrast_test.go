// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast computes the contrast of each pair of colours that meet, light and dark:
// WCAG 2.2 §1.4.3 asks for 4.5 for text, §1.4.11 for 3 for the edges of controls.
func TestContrast(t *testing.T) {
	t.Parallel()
	style := string(contoso(t).style)
	_, rest, ok := strings.Cut(style, "prefers-color-scheme:dark")
	if !ok {
		t.Fatal("no dark scheme")
	}
	schemes := map[string]map[string]float64{"light": colours(t, style), "dark": colours(t, rest)}
	for name, c := range schemes {
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"text", "card", 4.5},
			{"text", "soft", 4.5},
			{"text", "bg", 4.5},
			{"muted", "card", 4.5},
			{"muted", "soft", 4.5},
			{"muted", "bg", 4.5},
			{"accent", "card", 4.5},
			{"accent", "bg", 4.5},
			{"on", "accent", 4.5},
			{"on", "over", 4.5},
			{"warntext", "warn", 4.5},
			{"edge", "card", 3},
		} {
			front, back := c[pair.front], c[pair.back]
			if got := (max(front, back) + 0.05) / (min(front, back) + 0.05); !(got >= pair.least) || front == back {
				t.Errorf("%s: %s on %s has contrast %.2f, want %g", name, pair.front, pair.back, got, pair.least)
			}
		}
	}
}

// colours returns the relative luminance of the custom properties of the first rule.
func colours(t *testing.T, style string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	rule, _, _ := strings.Cut(style, "\n")
	for _, m := range regexp.MustCompile(`--(\w+):#([0-9a-f]{6}|[0-9a-f]{3})\b`).FindAllStringSubmatch(rule, -1) {
		hex := m[2]
		if len(hex) == 3 {
			hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
		}
		n, err := strconv.ParseUint(hex, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		out[m[1]] = 0.2126*linear(n>>16) + 0.7152*linear(n>>8&255) + 0.0722*linear(n&255)
	}
	return out
}

func linear(channel uint64) float64 {
	v := float64(channel) / 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}
